"""Files of the user: those that a conf names, and secrets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class UserFiles:
    """Access to files that no stage has published."""

    fetch: Callable[[str, Path], Path] | None = None
    """(`s3://` URI, folder) → path of the copy in that folder. None: URIs are not fetched."""
    folder: Path = Path()
    """Folder that copies are written to."""
    secret: Callable[[str], str | None] = lambda _: None
    """Name of a secret file → its value; None where there is no file."""
    _fetched: dict[str, Path] = field(default_factory=dict)

    def here(self, path: str) -> str:
        """The local path of a user's path or `s3://` URI. A URI is fetched once.

        Raises ConfigError where the URI has no file, TransientError where the server does not answer.
        """
        if self.fetch is None or not path.startswith("s3://"):
            return path
        if path not in self._fetched:
            self._fetched[path] = self.fetch(path, self.folder / str(len(self._fetched)))
        return str(self._fetched[path])
