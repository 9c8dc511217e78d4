"""report.json: the data of the report's page, its Markdown and the terminal's summary."""

from collections.abc import Mapping
from typing import ClassVar, TypeVar

from pydantic import AliasChoices, Field, JsonValue

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.documents.base import ByHorizon, Document, Figure, Part
from foundry_tasks.contract.documents.ensemble import ModelFigures
from foundry_tasks.contract.documents.gates import Gate, LookHeadline, Policy
from foundry_tasks.contract.documents.leakage import Leakage
from foundry_tasks.contract.documents.monitor import FeatureDrift, LiveFigures, MonitorSettings
from foundry_tasks.contract.documents.portfolio import TradedHorizon
from foundry_tasks.contract.documents.predict import Predictor
from foundry_tasks.contract.documents.prices import Prices
from foundry_tasks.contract.documents.promote import Event
from foundry_tasks.contract.documents.report_gates import HorizonEvidence, Status


class RunFacts(Part):
    """The run that the report is about."""

    dag: str
    run_id: str
    market: str
    as_of: str
    """ISO date."""
    made_at: str
    """ISO time."""


class FeaturesInUse(Part):
    """The features of the run."""

    feature_set: str
    count: int
    left_out: Mapping[str, str]
    """Feature → the data that the prices lack for it."""


class Data(Part):
    """Prices and features; None where the stage has no result."""

    prices: Prices | None
    features: FeaturesInUse | None


class StageWarning(Part):
    """A warning, and the stage (and shard) that gave it."""

    stage: str
    text: str


class AbsentStage(Part):
    """A stage of the DAG without a result, and the reason."""

    stage: str
    why: str


class StageTiming(Part):
    """Duration of a stage, in seconds."""

    stage: str
    shard: str | None
    status: str
    start_s: float
    work_s: float
    total_s: float
    steps: Mapping[str, float]
    reused_from: str | None


class StageProvenance(Part):
    """Digests, seed and config of a stage's result."""

    stage: str
    outputs_digest: str
    config_digest: str
    seed: int | None
    config: Mapping[str, JsonValue]


class Provenance(Part):
    """Code, images, price snapshot and stages of a run."""

    code_versions: tuple[str, ...]
    image_digests: tuple[str, ...]
    snapshot: str | None
    stages: tuple[StageProvenance, ...]


class ComparedRow(ModelFigures):
    """A model's row in the comparison."""

    model: str


class ImportanceShare(Part):
    """Share of gain, and AUC lost without the feature; None where it was not measured."""

    gain: Figure = None
    permutation: Figure = None


class RankedFeature(ImportanceShare):
    """Means over the models, and the values of each model."""

    feature: str
    by_model: Mapping[str, ImportanceShare]


class ModelsSection(Part):
    """The models of a horizon: base models first, then the blend and the stack; features by their importance."""

    comparison: tuple[ComparedRow, ...]
    stack_why: str | None
    importance: tuple[RankedFeature, ...]


class HorizonPrediction(Part):
    """A ticker's prediction at one horizon; None where there is none."""

    p_up: Figure = None
    confidence: Figure = None
    """Distance of the mean P(up) from ½, doubled."""
    position: Figure = None
    """Suggested share of capital, from the promoted horizons; None where no horizon has a champion."""


class TickerPrediction(Part):
    """A ticker's predictions."""

    ticker: str
    mean_p_up: float
    """Mean P(up) over the horizons."""
    horizons: ByHorizon[HorizonPrediction]

    def at(self, horizon: int) -> HorizonPrediction:
        """The prediction at a horizon, without figures where there is none."""
        return self.horizons.get(horizon, HorizonPrediction())


class PredictionsSection(Part):
    """The tickers with the highest and the lowest mean P(up), the extremes first, and the versions that predict."""

    as_of: str
    """ISO date of the session whose features the prediction reads."""
    tickers: int
    horizons: tuple[int, ...]
    top: tuple[TickerPrediction, ...]
    bottom: tuple[TickerPrediction, ...]
    coverage: Figure
    """Share of the universe."""
    per_horizon: ByHorizon[Predictor]


class ShownDrift(FeatureDrift):
    """The features that have drifted most."""

    measured: int
    """Features that were measured."""


class LiveHorizon(Part):
    """Live figures of a horizon's predictions, and the drift of its version's features."""

    version: int
    live: LiveFigures
    drift: ShownDrift


class LiveSection(Part):
    """Live figures and drift of every horizon, and the monitor's settings."""

    asked: MonitorSettings
    horizons: ByHorizon[LiveHorizon]


class DataDocs(Part):
    """The Data Docs of an expectation suite: address relative to the report, and path or URI."""

    suite: str
    href: str
    location: str


class RegisteredVersion(Part):
    """A version that the run registered."""

    horizon: int
    model: str
    version: int
    event: Event
    why: str
    uri: str
    url: str
    sha256: str


class Curves(Part):
    """Daily figures of a backtest in per cent, one value per session.

    net, gross, benchmark, buy_and_hold: compounded gains. drawdown: below zero. gross_exposure, net_exposure: of the capital.
    """

    sessions: tuple[str, ...]
    """ISO dates."""
    net: tuple[Figure, ...]
    gross: tuple[Figure, ...]
    benchmark: tuple[Figure, ...]
    buy_and_hold: tuple[Figure, ...]
    drawdown: tuple[Figure, ...]
    gross_exposure: tuple[Figure, ...]
    net_exposure: tuple[Figure, ...]
    fold_stops: tuple[int, ...]
    """Index of the session after each fold's last one."""


class ReplayVerdict(Part):
    """Whether forward simulation and backtest agree, and a sentence for the reader."""

    agrees: bool
    text: str


class ReportedHorizon(TradedHorizon):
    """Figures of the portfolio stage, a summary in one sentence, the curves, and the page with every trade."""

    summary: str = Field(validation_alias=AliasChoices("summary", "said"), serialization_alias="said")
    """The key `said` of report.json."""
    curves: Curves
    trades_page: str
    """Path relative to the report."""


class PortfolioSection(Part):
    """The backtest of every horizon. confidence: level of every interval."""

    rules: BacktestConfig
    confidence: float
    replay: ReplayVerdict | None
    """None where the run has no simulation."""
    horizons: ByHorizon[ReportedHorizon]


class Links(Part):
    """Pages, downloads and model versions that the report links: name → path or URI."""

    pages: Mapping[str, str]
    trades: Mapping[str, str]
    data_docs: tuple[DataDocs, ...]
    versions: tuple[RegisteredVersion, ...]


class PersonsDecision(Part):
    """A person's decision in the ledger."""

    what: str
    """Such as `foundry-us-5d version 3 promoted`."""
    who: str
    authenticated: bool
    """Whether Airflow knew the person by a login."""
    when: str
    """ISO date."""
    why: str


class Oversight(Part):
    """What decides the verdicts of the run's market, who changed it, and the state of ledger and code."""

    policy: str
    """Digest of the market's policy: at the judgement, else at the report."""
    look: LookHeadline | None
    """None where the gates did not run, or an earlier version ran them."""
    decisions: tuple[PersonsDecision, ...]
    """The newest change of the policy; the champions that a person chose."""
    ledger_since: str
    """ISO date of the oldest record of the market; empty without a record."""
    ledger_fault: str = ""
    """Why the ledger cannot be relied on; empty if its hashes verify."""
    code_is_a_release: bool
    """Whether every stage ran the sources of a release."""


P = TypeVar("P", bound=Part)


class Report(Document):
    """A run as the report shows it. A part that the run lacks is None or empty."""

    stage: ClassVar[str] = "report"
    artifact: ClassVar[str] = "report.json"

    report_version: int = 1
    run: RunFacts
    status: Status
    policy: Policy | None
    gates: ByHorizon[tuple[Gate, ...]]
    evidence: ByHorizon[HorizonEvidence]
    portfolio: PortfolioSection | None
    models: ByHorizon[ModelsSection]
    predictions: PredictionsSection | None
    live: LiveSection | None
    oversight: Oversight | None = None
    """None in documents of earlier versions."""
    data: Data
    leakage: Leakage | None
    warnings: tuple[StageWarning, ...]
    absent: tuple[AbsentStage, ...]
    stages: tuple[StageTiming, ...]
    provenance: Provenance
    links: Links
    sections: Mapping[str, Mapping[str, JsonValue]] = Field(default={}, exclude_if=lambda sections: not sections)
    """Name of a section → its part, for sections without a field above. `part` reads it."""

    def part(self, name: str, kind: type[P]) -> P:
        """The part of a section under `sections`. Raises KeyError where the report has none."""
        return kind.model_validate(self.sections[name])
