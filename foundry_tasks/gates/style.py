"""Style of a gate in the report: label, number format, scale of its bar."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents.gates import Gate

ENTRY_NAMES: Mapping[str, str] = {"close": "close of t", "next_open": "open of t+1", "next_close": "close of t+1"}
"""Entry price → its name in notes and in the report."""


def writer(form: str, factor: float = 1.0, unit: str = "") -> Callable[[float], str]:
    """Function that writes factor × value in a format, with the minus sign U+2212 and the unit; zero has no sign."""

    def write(value: float) -> str:
        text = format(factor * value, form)
        if float(text) == 0:
            text = format(0.0, form).removeprefix("+")
        return text.replace("-", "−") + unit

    return write


_plain = writer(".4f")


@dataclass(frozen=True, slots=True)
class GateStyle:
    """Style of a gate in the report."""

    label: str
    write: Callable[[float], str] = _plain
    """Writes the value and the bounds of its interval."""
    marks: Callable[[GatePolicy], Sequence[float]] = lambda _: ()
    """Policy → thresholds, drawn as ticks on the bar. A gate without thresholds has no bar."""
    good: Callable[[GatePolicy], tuple[float, float]] | None = None
    """Policy → the range that passes; an open end is infinite."""
    limits: tuple[float, float] = (-math.inf, math.inf)
    """Largest range of the bar; an interval that exceeds it gets an arrow."""
    short_note: Callable[[Gate], str] = lambda gate: gate.note
    """The gate's note as the page shows it."""
    undefined_because: str = ""
    """Why a value is undefined; empty if the note contains the reason."""
    note_tells_refusal: bool = False
    """Whether the report gives the note as the reason of a refusal, instead of value and threshold."""
