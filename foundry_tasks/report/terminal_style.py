"""Text on a terminal: at most 100 columns, verdicts in colour where a person reads along."""

from collections.abc import Iterator
from dataclasses import dataclass

from foundry_tasks.contract.results import StageResult

WIDTH = 100
_COLOURS = {"passed": "32", "warned": "33", "near miss": "33", "challenger": "33", "failed": "31", "refused": "31"}


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a summary is printed. report: the report stage's own result, which report.json cannot hold."""

    report: StageResult
    colour: bool = False

    def painted(self, verdict: str) -> str:
        """A verdict in its colour."""
        code = _COLOURS.get(verdict)
        return f"\x1b[{code}m{verdict}\x1b[0m" if self.colour and code else verdict


def wrapped(text: str, indent: str = "") -> Iterator[str]:
    """Lines of at most `WIDTH` columns; a longer word is never cut, since people copy paths."""
    line = indent
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH and line.strip():
            yield line
            line = indent + "  "
        line += word if not line.strip() else f" {word}"
    yield line
