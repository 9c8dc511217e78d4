"""comparison.json, and {h}d/base_rate.json of each horizon."""

from collections.abc import Mapping
from typing import ClassVar

from foundry_tasks.contract.documents.base import Document, Figure, HorizonsDocument, Interval, Part


class ModelFigures(Part):
    """How well a base model, the reference blend or the stack ranks on the reported test sessions."""

    auc_up: Figure
    """Mean AUC per session against up/down."""
    auc_median: Figure
    """Mean AUC per session against the session's median."""
    rank_ic: Figure
    pooled_auc_up: Figure
    """AUC over all sessions at once."""
    adds: Interval | None = None
    """AUC per session that this model adds to the average of the base models; None where it is not in the average."""


class ComparedModel(ModelFigures):
    """Figures of a model. why: of the stack, the reasons for its composition."""

    why: str | None = None


class Comparison(HorizonsDocument[Mapping[str, ComparedModel]]):
    """Horizon → base model, `blend_40_60` or `stack` → figures."""

    stage: ClassVar[str] = "ensemble"
    artifact: ClassVar[str] = "comparison.json"


class BaseRates(Document):
    """Expanding share of up labels at one horizon, published as {h}d/base_rate.json."""

    stage: ClassVar[str] = "ensemble"
    artifact: ClassVar[str] = "base_rate.json"

    last_fold: float
    """As known at the end of the last fold's test window."""
    final: float
    """As known after the last session."""

    def of(self, stack: str) -> float:
        """The base rate for a stack: `final`, otherwise `last_fold`."""
        return self.final if stack == "final" else self.last_fold
