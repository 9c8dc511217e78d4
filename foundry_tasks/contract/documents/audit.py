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
    """Counts and figures of the simulated markets of one kind."""

    kind: str
    markets: int
    promoted: int
    challengers: int
    leaks_found: int
    """Markets in which the leakage audit found a leak."""
    lower: float
    """Lower bound of the 95 % Wilson interval of promoted / markets."""
    upper: float
    attained_auc: Figure
    """Mean AUC per session of P(up)."""
    oracle_auc: Figure
    """Mean AUC per session of the signal itself."""
    figures: Mapping[str, Quantiles]
    """Gate → quantiles of its figure. For noise and shifted labels they are the null, including refits."""

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.promoted} of {self.markets} promoted [{self.lower:.0%}, {self.upper:.0%}], AUC "
            f"{_written(self.attained_auc)} of {_written(self.oracle_auc)}"
        )


def _written(auc: float | None) -> str:
    return "nan" if auc is None else f"{auc:.3f}"


class AdversaryTally(Part):
    """How often an adversary of one kind makes noise the champion."""

    kind: str
    tries: int
    """Its budget."""
    simulations: int
    promoted: int
    """Simulations in which a version was promoted without a person."""
    lower: float
    """Lower bound of the 95 % Wilson interval of promoted / simulations."""
    upper: float
    bar: float
    """Largest accepted share of simulations."""

    @property
    def share(self) -> float:
        """Share of the simulations with a promotion."""
        return self.promoted / self.simulations

    def __str__(self) -> str:
        return (
            f"{self.kind}, {self.tries} tries on noise: promoted without a person in {self.promoted} of "
            f"{self.simulations}, {self.share:.1%} [{self.lower:.1%}, {self.upper:.1%}], bar {self.bar:.0%}"
        )


class Audit(Document):
    """A tally of each kind of market, and of each kind of adversary."""

    stage: ClassVar[str] = "audit"
    artifact: ClassVar[str] = "audit.json"

    kinds: tuple[Tally, ...]
    adversaries: tuple[AdversaryTally, ...] = ()
    """Empty in documents of earlier versions."""
