"""A peer in its own process and environment; it keeps its data between turns."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAMS = Path(__file__).with_name("peers")
PACKAGES = ("polars", "pandas", "pyqlib")


class Peer:
    """A program of `benchmarks/peers`. It answers each line on stdin with a line of JSON (`peers/turns.py`)."""

    def __init__(self, python: Path, program: str, *arguments: str | Path) -> None:
        self._command = [str(python), str(PROGRAMS / f"{program}.py"), *map(str, arguments)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our program
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()  # closing stdin ends the program

    def seconds(self) -> float:
        """Seconds of one turn."""
        return float(self._ask("turn")["seconds"])

    def cpu_seconds(self) -> float:
        """CPU seconds of one turn, of the peer's process."""
        return float(self._ask("turn")["cpu_seconds"])

    def save(self, path: Path) -> None:
        """Take a turn and write its arrays as npz, by name."""
        self._ask(f"save {path}")

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        answered = self._process.stdout.readline()
        if not answered:
            raise RuntimeError(f"{' '.join(self._command)} ended instead of answering; it says why above")
        answer: dict[str, Any] = json.loads(answered)
        return answer


def peer_versions(python: Path) -> dict[str, str]:
    """Package → version, for those of PACKAGES in the environment."""
    code = "import json, sys; from importlib.metadata import distributions as all; "
    code += "print(json.dumps({one.name: one.version for one in all() if one.name in sys.argv}))"
    printed = subprocess.run([python, "-c", code, *PACKAGES], check=True, capture_output=True, text=True)  # noqa: S603 - ours
    found: dict[str, str] = json.loads(printed.stdout)
    return found
