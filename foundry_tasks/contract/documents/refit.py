"""refit.json: the bundle of each horizon, and the reason for it."""

from typing import ClassVar, Literal

from foundry_tasks.contract.documents.base import Figure, HorizonsDocument, Part

BundleKind = Literal["refit", "last_fold"]


class RefitOutcome(Part):
    """Outcome of one horizon's refit."""

    horizon: int
    kind: BundleKind
    """Content of the bundle: the recipe fitted on all sessions, or the models of the last fold."""
    models: tuple[str, ...] = ()
    lookback_sessions: int | None = None
    """Sessions of features before the first prediction that the bundle reads."""
    accepted: bool
    reason: str = ""
    rank_correlation: Figure = None
    """Mean rank correlation per session with the last fold's model, on its test sessions; None where nothing was refitted."""
    spread_ratio: Figure = None
    """Mean dispersion of P(up), divided by that of the last fold's model; None where nothing was refitted."""


class Refit(RefitOutcome):
    """The bundle of one horizon."""

    features: tuple[str, ...] = ()
    """The features that it reads; empty in documents of earlier versions."""

    @property
    def outcome(self) -> RefitOutcome:
        """The outcome without the names of the features."""
        return RefitOutcome(
            horizon=self.horizon,
            kind=self.kind,
            models=self.models,
            lookback_sessions=self.lookback_sessions,
            accepted=self.accepted,
            reason=self.reason,
            rank_correlation=self.rank_correlation,
            spread_ratio=self.spread_ratio,
        )


class Refits(HorizonsDocument[Refit]):
    """The bundle of every horizon."""

    stage: ClassVar[str] = "refit"
    artifact: ClassVar[str] = "refit.json"
