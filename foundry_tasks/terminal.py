"""What a person sees while stages run: progress bars on a terminal, plain lines where there is none."""

import sys
import time
from typing import Any, TextIO


def say(event: str, *, stream: TextIO | None = None, **fields: Any) -> None:
    """One event with its fields, as a line on stderr."""
    rest = " ".join(f"{name}={_shown(value)}" for name, value in fields.items())
    print(f"{time.strftime('%H:%M:%S')} {event} {rest}".rstrip(), file=stream or sys.stderr, flush=True)


def _shown(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f'"{text}"' if " " in text else text


class PlainProgress:
    """A line for every tenth of the work: for logs."""

    def __init__(self) -> None:
        self.label, self.total, self.done = "", 0, 0

    def start(self, label: str, total: int) -> None:
        self.label, self.total, self.done = label, total, 0

    def advance(self, note: str = "") -> None:
        self.done += 1
        step = max(self.total // 10, 1)
        if self.done % step == 0 or self.done == self.total:
            say(self.label, done=f"{self.done}/{self.total}", last=note)


class BarProgress:
    """A bar that redraws itself: for terminals."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - a log never draws a bar
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._bar = Progress(
            TextColumn("  {task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"), console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._task: Any = None

    def start(self, label: str, total: int) -> None:
        self._bar.start()
        self._task = self._bar.add_task(label, total=total, note="")

    def advance(self, note: str = "") -> None:
        self._bar.update(self._task, advance=1, note=note)
        if self._bar.finished:
            self._bar.stop()


def progress() -> PlainProgress | BarProgress:
    """The one that fits where stderr goes."""
    return BarProgress() if sys.stderr.isatty() else PlainProgress()
