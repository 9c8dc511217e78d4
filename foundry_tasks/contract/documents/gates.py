"""gates.json: for each horizon the gates, their values and verdicts."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, computed_field

from foundry_tasks.contract.config import LABEL_ENTRIES, GatePolicy
from foundry_tasks.contract.documents.base import Figure, HorizonsDocument, Interval, Part

GateVerdict = Literal["passed", "warned", "near miss", "failed", "undefined", "skipped"]
ModelVerdict = Literal["passed", "challenger", "refused", "skipped"]


class Gate(Part):
    """One gate: its question, value, threshold and verdict."""

    name: str
    question: str
    value: Figure
    threshold: str
    verdict: GateVerdict
    lower: Figure = None
    upper: Figure = None
    """Bounds of the value's interval, None where it has none."""
    note: str = ""

    @property
    def refuses(self) -> bool:
        """Whether the gate refuses the model. An undefined value is refused."""
        return self.verdict in {"failed", "undefined", "near miss"}


class NullQuantiles(Part):
    """A figure's distribution under the null, and the p-value of the observed figure."""

    observed: Figure
    mean: Figure
    q05: Figure
    q50: Figure
    q95: Figure
    chance: Figure
    """p-value of the permutation test: (1 + shifts at least as good) / (1 + shifts)."""


class NullSummary(Part):
    """The gated figures on shifted labels."""

    min_shift_sessions: int
    shifts: int
    blocks: int
    """Approximate number of independent shifts."""
    figures: Mapping[str, NullQuantiles]


class GateReport(Part):
    """All gates of one horizon, the verdict on its model, and the null of the gated figures."""

    horizon: int
    verdict: ModelVerdict
    gates: tuple[Gate, ...]
    null: NullSummary

    @computed_field  # type: ignore[prop-decorator]  # pydantic's documented form; mypy rejects a decorated property
    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the gates that refuse."""
        return tuple(gate.name for gate in self.gates if gate.refuses)

    def gate(self, name: str) -> Gate | None:
        """The gate with a name, None where there is none."""
        return next((gate for gate in self.gates if gate.name == name), None)


class Information(Part):
    """Mean of a per-session rank IC; icir: mean over standard deviation, per session; t: Newey–West with `lag` lags."""

    mean: Figure
    icir: Figure
    t: Figure
    lag: int


class FiellerBounds(Part):
    """Fieller's confidence set of a ratio: between the bounds, outside them, every number, or undefined."""

    kind: Literal["between", "outside", "every", "undefined"]
    lower: Figure
    upper: Figure


class Efficiency(Interval):
    """Walk-forward efficiency with its bootstrap interval and Fieller's set. 1: the test has the whole validation edge."""

    fieller: FiellerBounds
    consistency: Figure
    """Share of folds whose test figure is above the value without skill."""


class Efficiencies(Part):
    """The walk-forward efficiency of three edges.

    relative: share of right directions relative to the session's median; the gated one. over_base_rate: share of right
    directions minus that of the base rate. rank_ic: mean rank IC.
    """

    relative: Efficiency
    over_base_rate: Efficiency
    rank_ic: Efficiency


class EntryFigures(Part):
    """How well P(up) ranks forward returns from one entry price."""

    auc_up: Interval
    rank_ic: Interval


class FoldFigures(Part):
    """Means over the test sessions of a fold."""

    auc_up: Figure
    auc_median: Figure
    rank_ic: Figure


class ExpectedFigure(Part):
    """One figure, expected and observed. lower, upper: interval of the observed one at level `confidence`, or None."""

    name: str
    expected: Figure
    observed: Figure
    formula: str
    lower: Figure = None
    upper: Figure = None


def _in_order(entries: Mapping[str, EntryFigures]) -> Mapping[str, EntryFigures]:
    return {entry: entries[entry] for entry in LABEL_ENTRIES if entry in entries}


class Diagnostics(Part):
    """Figures of the same evidence that are not gated."""

    auc_median: Interval
    """AUC against the session's median."""
    rank_ic: Interval
    information: Information
    hit_rate_up: Interval
    brier: Interval
    brier_base_rate: Interval
    brier_skill: Figure
    log_loss: Interval
    """Nats."""
    calibration_error: Interval | None = Field(default=None, exclude_if=lambda found: found is None)
    """Expected calibration error in equal-mass bins; None in documents of version 0.2, where it was a gate."""
    base_rate: Figure
    """Share of up labels."""
    entries: Annotated[Mapping[str, EntryFigures], AfterValidator(_in_order)]
    """Entry price → figures, from the earliest entry to the latest."""
    folds: tuple[FoldFigures, ...]
    """Figures of the reported folds, in the order of time."""
    efficiency: Efficiencies
    overfitting_ratio: Figure
    expected: tuple[ExpectedFigure, ...]
    sessions: int

    @property
    def at_next_close(self) -> EntryFigures | None:
        """Ranking of returns from the close of t+1, None where the prices lack it."""
        return self.entries.get("next_close")


class HorizonGates(GateReport):
    """The gates of one horizon with their diagnostics."""

    diagnostics: Diagnostics = Field(
        validation_alias=AliasChoices("diagnostics", "beside"), serialization_alias="beside"
    )
    """The key `beside` of gates.json."""
    champion_version: int | None
    """The champion that the model was compared with."""
    last_session: date | None = None
    """The last session of the evidence."""
    forecast: str = ""
    """Digest of the forecast's P&L, which names the look. Empty in documents of earlier versions."""


def _known(policy: GatePolicy | Mapping[str, float]) -> GatePolicy | Mapping[str, float]:
    """Drop the keys that this version of the policy does not have."""
    if not isinstance(policy, Mapping):
        return policy
    return {key: value for key, value in policy.items() if key in GatePolicy.model_fields}


Policy = Annotated[GatePolicy, BeforeValidator(_known)]
"""The policy of a run. Another version may have written it."""


class Gates(HorizonsDocument[HorizonGates]):
    """The gates of every horizon."""

    stage: ClassVar[str] = "gates"
    artifact: ClassVar[str] = "gates.json"

    validate_only: bool
    """Whether the run stops after the gates."""
    policy: Policy
    """The gates' part of the policy, with this run's stricter values."""
    policy_digest: str = ""
    """Digest of the market's policy. Empty in documents of earlier versions."""


class DeflatedSharpe(Part):
    """A Sharpe ratio deflated by the best of `n_trials` trials without skill."""

    n_trials: int
    variance: Figure
    """Of the trials' Sharpe ratios, per session."""
    expected_maximum: Figure
    deflated: Figure
    """Probability that the Sharpe ratio is above the expected maximum."""


class TrialFigures(Part):
    """The Sharpe ratio of a model, deflated for the number of trials."""

    sharpe: Figure
    """Per session, after costs."""
    raw: DeflatedSharpe
    """Deflated by the number of all trials."""
    clustered: DeflatedSharpe
    """Deflated by the number of clusters of like trials."""
    aligned: int
    unaligned: int
    """Trials that share too few sessions with this one."""
    shared_sessions: int
    overfitting: Figure
    """Probability of backtest overfitting; None where `undefined` says why."""
    undefined: str
    deflated: Figure
    """The stricter of raw and clustered."""


class GatesHeadline(Part):
    """Headline of one horizon in the stage's result.

    Trials are not part of gates.json: a run that is judged again publishes the same gates, although more trials have been
    recorded since.
    """

    verdict: ModelVerdict
    auc: Figure
    trials: TrialFigures


class LookHeadline(Part):
    """The run's look, in the stage's result. Like trials it is not part of gates.json."""

    number: int
    """Number of this look among those at the same data, from 1."""
    because: str
    """Why it cannot promote by itself; empty if it can."""


class RunLook(Part):
    """The look among the metrics of the stage's result; None in results of earlier versions."""

    look: LookHeadline | None = None
