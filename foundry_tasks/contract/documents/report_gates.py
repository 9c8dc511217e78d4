"""The report's sections on the verdict, and on the evidence that the gates judged."""

from collections.abc import Mapping

from pydantic import AliasChoices, Field

from foundry_tasks.contract.documents.base import ByHorizon, Figure, Interval, Part
from foundry_tasks.contract.documents.gates import Diagnostics, ModelVerdict, TrialFigures
from foundry_tasks.contract.documents.refit import RefitOutcome


class StatusPhrase(Part):
    """A phrase of the headline, coloured by its verdict."""

    verdict: str
    """A verdict on a model, or `none`."""
    text: str


class HorizonStatus(Part):
    """What the gates said of one horizon, and what the run did about it."""

    horizon: int
    name: str
    """1 day, 5 days."""
    verdict: ModelVerdict
    words: str
    reasons: tuple[str, ...]
    """A line for each gate that refuses."""
    champion_before: int | None
    registered: str
    """What became of the version, one sentence; empty where none was registered."""
    refit: RefitOutcome | None


class Status(Part):
    """The top of the report."""

    headline: str
    phrases: tuple[StatusPhrase, ...]
    consequence: str
    verdicts: ByHorizon[ModelVerdict]
    validate_only: bool
    horizons: tuple[HorizonStatus, ...]


class ReliabilityBin(Part):
    """An equal-mass bin of P(up): its mean, the share that went up with its interval, and how many rows it has."""

    p_up: float
    share_up: float
    lower: float
    upper: float
    rows: int


class SessionFigures(Part):
    """Figures of the reported test sessions, a value for each session, in the order of time."""

    sessions: tuple[str, ...]
    """ISO dates."""
    fold_stops: tuple[int, ...]
    """Index of the session after each fold's last one."""
    auc: tuple[Figure, ...]
    auc_rolling: tuple[Figure, ...]
    """Mean of the last `rolling_sessions` sessions."""
    rolling_sessions: int
    cumulative_rank_ic: Mapping[str, tuple[Figure, ...]]
    """Entry price → running sum."""
    chance_band: tuple[Figure, ...]
    """Half-width of what 95 % of sums without skill would stay within."""
    reliability: tuple[ReliabilityBin, ...]


class JudgedDiagnostics(Diagnostics):
    """Figures that are no gates, with those of the trials."""

    trials: TrialFigures


class HorizonEvidence(SessionFigures):
    """The evidence of one horizon. What the gates added is None where they did not run."""

    auc_mean: Interval | None
    diagnostics: JudgedDiagnostics | None = Field(
        validation_alias=AliasChoices("diagnostics", "beside"), serialization_alias="beside"
    )
    """The key `beside` of report.json."""
