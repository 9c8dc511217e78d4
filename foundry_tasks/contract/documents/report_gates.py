"""The report's sections on the verdict and on the evidence of the gates."""

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
    """Verdict of the gates on one horizon, and its consequence."""

    horizon: int
    name: str
    """Such as `5 days`."""
    verdict: ModelVerdict
    words: str
    reasons: tuple[str, ...]
    """A line for each gate that refuses."""
    champion_before: int | None
    registered: str
    """Outcome of the registration, one sentence; empty where no version was registered."""
    refit: RefitOutcome | None
    reached: str = ""
    """How far the ranking goes, such as `ranks and can be traded`; empty if no step is reached."""


class Status(Part):
    """The top of the report."""

    headline: str
    phrases: tuple[StatusPhrase, ...]
    consequence: str
    verdicts: ByHorizon[ModelVerdict]
    validate_only: bool
    horizons: tuple[HorizonStatus, ...]


class ReliabilityBin(Part):
    """An equal-mass bin of P(up): mean P(up), share of up labels with its interval, number of rows."""

    p_up: float
    share_up: float
    lower: float
    upper: float
    rows: int


class SessionFigures(Part):
    """Figures of the reported test sessions, one value per session, in the order of time."""

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
    """Half-width of the band that contains 95 % of sums without skill."""
    reliability: tuple[ReliabilityBin, ...]


class JudgedDiagnostics(Diagnostics):
    """Figures that are not gated, with those of the trials."""

    trials: TrialFigures


class HorizonEvidence(SessionFigures):
    """The evidence of one horizon. Figures of the gates are None where they did not run."""

    auc_mean: Interval | None
    diagnostics: JudgedDiagnostics | None = Field(
        validation_alias=AliasChoices("diagnostics", "beside"), serialization_alias="beside"
    )
    """The key `beside` of report.json."""
