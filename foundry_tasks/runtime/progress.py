"""The lines that a stage prints, and the view of a whole run: one line per stage, updated in place on a terminal."""

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from foundry_tasks.contract.plain import ConfValue
from foundry_tasks.contract.stages import STAGES

if TYPE_CHECKING:
    from rich.live import Live
    from rich.progress import TaskID
    from rich.text import Text

WIDTH = 100
"""Maximum width of a line of the view, in columns."""


# ---------------------------------------------------------------- lines of a stage
def say(event: str, text: str = "", *, stream: TextIO | None = None, **fields: ConfValue) -> None:
    """Print one event as a line on stderr: `event: text key=value …`, without a time of day."""
    rest = " ".join([text, *(f"{name}={_shown(value)}" for name, value in fields.items())])
    print(f"{event}: {' '.join(rest.split())}", file=stream or sys.stderr, flush=True)


def _shown(value: ConfValue) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f'"{text}"' if " " in text else text


class PlainProgress:
    """Progress as a line for every fiftieth of the work, for logs and for `RunView`."""

    def __init__(self) -> None:
        self.label, self.total, self.done = "", 0, 0

    def start(self, label: str, total: int) -> None:
        """Begin to count from zero to `total`. Prints nothing."""
        self.label, self.total, self.done = label, total, 0

    def advance(self, note: str = "") -> None:
        """Count one step. Prints a line at every fiftieth and at the end."""
        self.done += 1
        step = max(self.total // 50, 1)
        if self.done % step == 0 or self.done == self.total:
            say("progress", f"{self.done}/{self.total} {note}")


class BarProgress:
    """Progress as a bar, for a single stage on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - not needed for logs
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._bar = Progress(
            TextColumn("  {task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"), console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._task: TaskID

    def start(self, label: str, total: int) -> None:
        """Draw an empty bar of `total` steps."""
        self._bar.start()
        self._task = self._bar.add_task(label, total=total, note="")

    def advance(self, note: str = "") -> None:
        """Count one step. The full bar is removed."""
        if self._task is not None:
            self._bar.update(self._task, advance=1, note=note)
        if self._bar.finished:
            self._bar.stop()


def progress() -> PlainProgress | BarProgress:
    """A bar if stderr is a terminal, else plain lines."""
    return BarProgress() if sys.stderr.isatty() else PlainProgress()


@dataclass(frozen=True, slots=True)
class StageLine:
    """A line that a stage printed. `other`: a line of a library, or the stage's closing line."""

    kind: Literal["warning", "progress", "error", "other"]
    text: str

    @classmethod
    def of(cls, line: str) -> "StageLine":
        """Split a line into its kind and the text after the word for the kind."""
        word, separator, text = line.partition(": ")
        return cls(_KINDS[word], text) if separator and word in _KINDS else cls("other", line)


_KINDS: Mapping[str, Literal["warning", "progress", "error"]] = {
    "warning": "warning",
    "progress": "progress",
    "foundry": "error",
    "nothing to do": "error",
}


# ---------------------------------------------------------------- view of a run
_OUTCOMES = {0: ("✓", "green"), 99: ("–", "yellow")}
"""Exit code → sign and colour; any other is a failure."""


class RunView:
    """Shows one line per stage and one per warning. On a terminal the line of the running stage is redrawn.

    A repeated warning is counted and not shown again. If the stream is no terminal, each line begins with the time of day.
    """

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        from rich.console import Console  # noqa: PLC0415 - needed for the view only

        self._console = Console(file=stream, highlight=False, width=None if stream.isatty() else 10_000)
        self._live: Live | None = None
        self._warnings: Counter[str] = Counter()
        self._name, self._does, self._since = "", "", 0.0
        self._far, self._last = "", ""
        self._new: list[str] = []

    def note(self, text: str) -> None:
        """Print a line that belongs to no stage."""
        self._print("", [(text, "")])

    def started(self, name: str) -> None:
        """A stage begins. Work that has not ended before it has succeeded."""
        self.doing(name, STAGES[name.partition(" ")[0]].does)

    def doing(self, name: str, does: str) -> None:
        """As `started`, for work that is no stage. does: what it does, in a few words."""
        if self._name:
            self.ended(0)
        self._name, self._does, self._since = name, does, time.monotonic()
        self._far, self._last, self._new = "", "", []
        if self._console.is_terminal:
            from rich.live import Live  # noqa: PLC0415 - not needed for logs

            self._live = Live(
                console=self._console,
                transient=True,
                refresh_per_second=4,
                get_renderable=self._at_work,
                redirect_stdout=False,
                redirect_stderr=False,  # other output is left as it is
            )
            self._live.start()

    def printed(self, line: str) -> None:
        """The running stage printed a line."""
        found = StageLine.of(line)
        if found.kind == "progress":
            self._far = found.text
            return
        if found.kind == "warning":
            self._warnings[found.text] += 1
            if self._warnings[found.text] == 1:
                self._new.append(found.text)
        elif found.text.strip():
            self._last = found.text

    def ended(self, exit_code: int) -> None:
        """The running stage has ended: print its line and its new warnings."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        sign, colour = _OUTCOMES.get(exit_code, ("✕", "red"))
        seconds = f"{time.monotonic() - self._since:7.1f} s"
        if exit_code == 0:
            origin = ", reused from an earlier run" if self._last.startswith("reused:") else ""
            self._print(f"{sign} {self._name:<9} {seconds}", [(f"  {self._does}{origin}", "")], colour)
        else:
            how = "skipped" if exit_code == 99 else f"failed with exit code {exit_code}"
            self._print(f"{sign} {self._name:<9} {seconds}", [(f"  {how}: {self._last}", colour)], colour)
        for text in self._new:
            self._print("! ", [(f"{self._name}: {_without_prefix(text, self._name)}", "")], "yellow")
        self._name = ""

    def failed(self, why: str) -> None:
        """The running work has failed without a line of its own. why: the reason to print."""
        self._last = why
        self.ended(1)

    def close(self) -> None:
        """The run is over: print the number of each repeated warning."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        for text, times in self._warnings.items():
            if times > 1:
                self._print("! ", [(f"{times} times: {text}", "")], "yellow")

    def _at_work(self) -> "Text":
        from rich.text import Text  # noqa: PLC0415 - as above

        seconds = time.monotonic() - self._since
        sign = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int(4 * seconds) % 10]
        done, _, note = self._far.partition(" ")
        line = f"{sign} {self._name:<9} {seconds:7.0f} s  {self._does}"
        if "/" in done:
            line += f"  {_bar(done)} {done}  {note}"
        return Text(line, no_wrap=True, overflow="ellipsis")

    def _print(self, head: str, rest: Sequence[tuple[str, str]], colour: str = "") -> None:
        from rich.text import Text  # noqa: PLC0415 - as above

        if self._console.is_terminal:
            text = Text.assemble((head, colour), *rest)
            lines = text.wrap(self._console, min(WIDTH, self._console.width) - 2)
            for number, line in enumerate(lines):
                self._console.print(Text("  " if number else "") + line, soft_wrap=True)
        else:
            plain = head + "".join(text for text, _ in rest)
            print(f"{time.strftime('%H:%M:%S')} {plain}", file=self._console.file, flush=True)


def _bar(done: str, width: int = 16) -> str:
    part, whole = map(int, done.split("/"))
    full = width * part // max(whole, 1)
    return "━" * full + "╌" * (width - full)


def _without_prefix(text: str, name: str) -> str:
    """The text without its stage, which the line names already."""
    return text.removeprefix(f"{name.partition(' ')[0]}: ")
