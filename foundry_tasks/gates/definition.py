"""Definition of a gate. Each file in `gates/catalogue` has a `GateDefinition` named `GATE`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.style import GateStyle

if TYPE_CHECKING:
    from foundry_tasks.statistics.block_means import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A gate's result for one model. NaN: undefined; None: the gate has no such figure."""

    value: float | None
    verdict: GateVerdict
    lower: float | None = None
    upper: float | None = None
    note: str = ""

    @classmethod
    def about(cls, interval: "Interval", verdict: GateVerdict, note: str = "") -> Self:
        """An answer whose value has an interval."""
        return cls(value=interval.value, verdict=verdict, lower=interval.lower, upper=interval.upper, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDefinition:
    """One gate: its question, its function, and its style in the report.

    A report reads `order` and `style` without NumPy. A module of the catalogue therefore imports NumPy, and modules that
    need it, inside `judge`.
    """

    name: str
    """As in gates.json, in the ledger and in MLflow; equal to the name of its file."""
    order: int
    """Gates are evaluated and shown by ascending order. It is unique."""
    question: str
    """One sentence that ends in a question mark."""
    threshold: Callable[[GatePolicy], str]
    """Policy → the threshold in words."""
    judge: Callable[[Case], Answer]
    """Pure: the same case gives the same answer."""
    style: GateStyle
