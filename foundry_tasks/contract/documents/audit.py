"""audit.json."""

from collections.abc import Mapping
from typing import ClassVar

from foundry_tasks.contract.documents.base import Document, Figure, Part


class Quantiles(Part):
    """Quantiles over the markets in which a figure is defined."""

    q05: Figure
    q50: Figure
    q95: Figure


class Tally(Part):
    """What became of the simulated markets of a kind."""

    kind: str
    markets: int
    promoted: int
    challengers: int
    leaks_found: int
    """Markets in which the leakage audit found a leak."""
    lower: float
    """Of the 95 % Wilson interval of the promoted share."""
    upper: float
    attained_auc: Figure
    """Mean AUC per session of P(up)."""
    oracle_auc: Figure
    """Mean AUC per session of the signal itself."""
    figures: Mapping[str, Quantiles]
    """Gate → its figure's quantiles. Of noise and shifted labels they are the null, with every refit in it."""

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.promoted} of {self.markets} promoted [{self.lower:.0%}, {self.upper:.0%}], AUC "
            f"{_written(self.attained_auc)} of {_written(self.oracle_auc)}"
        )


def _written(auc: float | None) -> str:
    return "nan" if auc is None else f"{auc:.3f}"


class Audit(Document):
    """A tally of each kind of market."""

    stage: ClassVar[str] = "audit"
    artifact: ClassVar[str] = "audit.json"

    kinds: tuple[Tally, ...]
