"""How the report shows a gate: its label, how its figures are written, and the scale of its bar."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents.gates import Gate


def writer(form: str, factor: float = 1.0, unit: str = "") -> Callable[[float], str]:
    """Writes a number in one form, with a true minus sign, and zero without one."""

    def write(value: float) -> str:
        text = format(factor * value, form)
        if float(text) == 0:
            text = format(0.0, form).removeprefix("+")
        return text.replace("-", "−") + unit

    return write


_plain = writer(".4f")


@dataclass(frozen=True, slots=True)
class GateStyle:
    """How the report shows a gate's figure, and on which scale it draws the bar."""

    label: str
    write: Callable[[float], str] = _plain
    """Writes the value and the bounds of its interval."""
    marks: Callable[[GatePolicy], Sequence[float]] = lambda _: ()
    """Policy → thresholds, drawn as ticks on the bar. Without one the gate has no bar."""
    good: Callable[[GatePolicy], tuple[float, float]] | None = None
    """Policy → the range that passes, infinite where it is open."""
    limits: tuple[float, float] = (-math.inf, math.inf)
    """The bar never shows more than this; an interval that goes on gets an arrow."""
    short_note: Callable[[Gate], str] = lambda gate: gate.note
    """The gate's note as the page shows it."""
    undefined_because: str = ""
    """Why a value is undefined; empty where the note says it."""
    note_tells_refusal: bool = False
    """Whether the note is the reason of a refusal, instead of value and threshold."""
