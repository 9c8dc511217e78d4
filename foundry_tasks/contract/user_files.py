"""The files of whoever runs a stage: those that a conf names, and secrets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class UserFiles:
    """Files that no stage has published."""

    fetch: Callable[[str, Path], Path] | None = None
    """Copies what an `s3://` URI means into a folder and says where it lies there; None: no URI is fetched."""
    folder: Path = Path()
    """Where to."""
    secret: Callable[[str], str | None] = lambda _: None
    """The value of a secret file by its name; None where there is none."""
    _fetched: dict[str, Path] = field(default_factory=dict)

    def here(self, path: str) -> str:
        """A path of this machine for a user's path or `s3://` URI; what a URI means is fetched once.

        Raises ConfigError where there is nothing, TransientError where the server does not answer.
        """
        if self.fetch is None or not path.startswith("s3://"):
            return path
        if path not in self._fetched:
            self._fetched[path] = self.fetch(path, self.folder / str(len(self._fetched)))
        return str(self._fetched[path])
