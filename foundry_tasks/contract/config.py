"""What to compute: one frozen model a stage, units in the names.

A run's conf is one flat document. Every stage takes the keys it knows, a key that no stage knows is refused, and the
same key means the same thing in every stage. Market files hold defaults for the same keys.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)


def _day(value: Any) -> date | None:
    """A day as it is written; pydantic alone would take a number too, as seconds since 1970."""
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("write the day as 2020-01-31 or 20200131") from None


Day = Annotated[date, BeforeValidator(_day)]
Ticker = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
MARKET_NAME = r"^[a-z][a-z0-9_]*$"
Horizon = Annotated[int, Field(ge=1, le=60)]
ModelName = Literal["logistic", "lightgbm", "xgboost", "lstm_transformer", "xlstm_ts"]
DEEP_MODELS: tuple[ModelName, ...] = ("lstm_transformer", "xlstm_ts")
"""Sequence models: TensorFlow fits them, in an image of their own."""
DeepLoss = Literal["cross_entropy", "cross_entropy_correlation", "directional_huber", "anti_collapse_directional"]
DeepTask = Literal["sign", "size", "volatility"]
DeepSize = Literal["small", "full"]
Precision = Literal["float32", "bfloat16", "float16"]
LabelKind = Literal["up", "median", "sector"]
LabelEntry = Literal["close", "next_open", "next_close"]
LABEL_ENTRIES: tuple[LabelEntry, ...] = get_args(LabelEntry)
FanOut = Literal["none", "model", "fold", "horizon"]
Calibration = Literal["base_rate_slope", "platt", "isotonic", "beta"]
Share = Annotated[float, Field(ge=0, le=1)]
Sizing = Literal["long_only", "long_short", "top_bottom", "probability"]
Entry = Literal["next_open", "next_close"]
Impact = Literal["none", "square_root", "volume_share"]
RECENT_SESSIONS = 252
"""The last sessions, whose features are all that a run reads that fits no model: none of its keys reaches further back."""
MIN_DENOISED_SESSIONS = 4
"""What the two levels of a window's wavelets span."""


class StageConfig(BaseModel):
    """Closed and immutable; unknown keys are refused by whoever merges a conf."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        defer_build=True,  # a stage validates its own config and no other's
    )

    @field_validator("*")
    @classmethod
    def _text_fits_into_json(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError("this is not UTF-8 text. Rename what is named so") from None
        return value


class HorizonsConfig(StageConfig):
    horizons: tuple[Horizon, ...] = Field((1, 5, 20), min_length=1)
    """Trading days ahead, one model a horizon."""

    @model_validator(mode="after")
    def _horizons_are_distinct(self) -> Self:
        if len(set(self.horizons)) != len(self.horizons):
            raise ValueError(f"horizons must be distinct, got {list(self.horizons)}")
        return self


class ThreadsConfig(StageConfig):
    threads: PositiveInt = 2
    """Base models that are fitted side by side, on one thread each, and threads of whatever else can use them."""


class PricesConfig(StageConfig):
    market: str = Field("us", pattern=MARKET_NAME)
    """A universe with a calendar; registered models are named after it."""
    calendar: str = "XNYS"
    """Exchange calendar (ISO 10383 market code) that says which days are sessions."""
    source: Literal["sample", "parquet", "yfinance"] = "sample"
    """Where prices come from; `parquet` reads csv too."""
    prices: str = ""
    """File, folder or `s3://` URI of daily prices, for source `parquet`; the files below may be URIs too."""
    tickers: tuple[Ticker, ...] = ()
    """Tickers to ask for, for source `yfinance`; elsewhere a subset of what the source holds, empty for all."""
    sectors: str = ""
    """Csv with columns ticker, sector."""
    benchmark: str = ""
    """File of one series (date, close or adj_close); empty: the source's own, else the mean of the universe."""
    vix: str = ""
    """File of one series (date, close)."""
    universe: str = ""
    """Csv with columns ticker, start_date, end_date: point-in-time membership."""
    start: Day | None = None
    """First session wanted."""
    end: Day | None = None
    """Last session wanted; the run's as-of moves back to it."""
    overlap_sessions: PositiveInt = 10
    """Sessions fetched again at every run, to see whether a ticker was restated."""
    skip_closed: bool = False
    """Do nothing where the day after as-of is no session and prices reach as-of: there is no market to predict for."""
    min_coverage: Share = 0.95
    """Share of the universe's ticker-sessions that has to remain once bad rows and tickers are set aside."""


class FeaturesConfig(HorizonsConfig, ThreadsConfig):
    feature_set: Literal["core", "extended"] = "extended"
    """`core`: the reference system's nine; `extended`: all."""


class LabelsConfig(HorizonsConfig):
    label_entry: LabelEntry = "close"
    """The price a return is counted from: the close of t, the open of t+1 or the close of t+1."""


def fold_name(number: int) -> str:
    """`fold3`; the warm-up blocks before `fold1` are numbered 0, −1, …: `warmup1`, `warmup2`."""
    return f"fold{number}" if number >= 1 else f"warmup{1 - number}"


class WalkConfig(HorizonsConfig):
    walk: Literal["anchored", "rolling"] = "anchored"
    """Whether the fit window grows or slides."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Reported folds."""
    test_sessions: Annotated[int, Field(ge=20)] = 150
    """Sessions in a fold's test window and in a warm-up block."""
    validation_sessions: Annotated[int, Field(ge=20)] = 63
    """Sessions of WFE's denominator, between fit and test; they neither stop nor choose a model."""
    warmup_blocks: NonNegativeInt = 2
    """Out-of-fold blocks before the first reported fold, for the meta-learner and the calibrator."""
    first_test_session: NonNegativeInt | None = None
    """Index of the first reported fold's first test session; None: the last fold ends with the last session."""
    fit_sessions: PositiveInt | None = None
    """Length of a rolling fit window; None: what the first fold has."""
    min_fit_sessions: PositiveInt = 100
    """Fewer fit sessions than this in any block are refused."""
    embargo_sessions: NonNegativeInt = 0
    """Sessions dropped besides the purge of h."""

    @property
    def lookback_sessions(self) -> int:
        """Sessions before its own that a row's inputs are taken from."""
        return 0

    @property
    def gap_sessions(self) -> int:
        """What a purge holds besides the sessions that a label reaches ahead."""
        return self.embargo_sessions + self.lookback_sessions


class DeepConfig(StageConfig):
    """How the sequence models are built and trained; without one of them in `models` nothing reads it."""

    sequence_sessions: Annotated[int, Field(ge=2, le=RECENT_SESSIONS - 2)] = 20
    """Sessions that a deep model looks back on, its own included; the purge of the whole walk grows by one less."""
    deep_size: DeepSize | None = None
    """How large they are and how long they train; null: full on a GPU, small on a CPU."""
    deep_epochs: PositiveInt | None = None
    """Passes over the fit window; null: what the size has."""
    deep_loss: DeepLoss = "cross_entropy_correlation"
    """What they minimise."""
    deep_tasks: tuple[DeepTask, ...] = ("sign",)
    """What lstm_transformer learns; beside the sign, which is its score, a move's size and volatility can shape its layers."""
    denoise: bool = False
    """Whether xlstm_ts sees its inputs denoised by wavelets, each window by itself, so that no later session is in it."""
    learning_rate: PositiveFloat = 1e-3
    """Its largest value; warm-up before, cosine decay after."""
    precision: Precision = "float32"
    """Of matrix products; gates, states and loss are float32 always."""

    @model_validator(mode="after")
    def _the_sign_is_learned_whatever_is_learned_beside_it(self) -> Self:
        if "sign" not in self.deep_tasks or len(set(self.deep_tasks)) != len(self.deep_tasks):
            raise ValueError(
                f"deep_tasks are sign and, beside it, size or volatility, each once, got {list(self.deep_tasks)}"
            )
        return self

    @model_validator(mode="after")
    def _a_window_has_room_for_wavelets(self) -> Self:
        if self.denoise and self.sequence_sessions < MIN_DENOISED_SESSIONS:
            raise ValueError(
                f"denoise needs windows of {MIN_DENOISED_SESSIONS} sessions or more, got sequence_sessions="
                f"{self.sequence_sessions}"
            )
        return self


class ModelsConfig(WalkConfig, ThreadsConfig, DeepConfig):
    models: tuple[ModelName, ...] = Field(("logistic", "lightgbm", "xgboost"), min_length=1)
    """Base models: logistic, lightgbm, xgboost, and the deep ones lstm_transformer and xlstm_ts."""
    label_kind: LabelKind | None = None
    """What base models learn: up or down, above the session's median, or above the sector's; None: each its own best."""
    seeds: PositiveInt = 3
    """Fits averaged per model and fold; the logistic regression needs one."""
    seed: NonNegativeInt = 7
    """First of the seeds."""
    early_stopping: bool = False
    """Stop boosting on the per-session AUC of a purged window inside the fit window, instead of fixed rounds."""
    stopping_sessions: Annotated[int, Field(ge=126)] = 126
    """Length of that window."""
    tuning_trials: NonNegativeInt = 0
    """Random draws of the booster's parameters, judged inside the fit window."""
    fan_out: FanOut | None = Field(None, exclude=True)
    """How finely the stage is mapped: a task a base model, a fold of it, a horizon of that; null: as the runtime likes it."""
    per_regime: bool = False
    """Fit every base model once on the calm and once on the turbulent sessions, parted by market volatility."""

    @property
    def deep_models(self) -> tuple[ModelName, ...]:
        """Those of `models` that look at sequences."""
        return tuple(name for name in self.models if name in DEEP_MODELS)

    @property
    def lookback_sessions(self) -> int:
        """Of the longest sequence: all models share one walk, so that their scores can be stacked."""
        return self.sequence_sessions - 1 if self.deep_models else 0

    @model_validator(mode="after")
    def _deep_models_are_fitted_as_they_are(self) -> Self:
        if self.deep_models and (self.per_regime or self.tuning_trials):
            raise ValueError(
                f"{' and '.join(self.deep_models)} can be neither fitted per regime, on half the sessions, nor tuned, one "
                "training a draw. Set per_regime=false and tuning_trials=0, or leave them out of models"
            )
        return self

    @model_validator(mode="after")
    def _regimes_leave_no_room_to_stop_or_tune(self) -> Self:
        if self.per_regime and (self.early_stopping or self.tuning_trials):
            raise ValueError(
                "per_regime=true goes with fixed rounds and parameters alone: a window that stops or tunes would hold few "
                "sessions of a regime. Switch early_stopping and tuning_trials off, or per_regime"
            )
        return self


class EnsembleConfig(ThreadsConfig):
    calibration: Calibration = "base_rate_slope"
    """How scores become P(up)."""
    calibration_sessions: PositiveInt = 252
    """Window of Platt, isotonic and beta calibration."""
    regime_scale: bool = False
    """Let the market's regime scale a session's scores: confidence, not ranks."""
    regime_intercept: bool = False
    """Let the market's regime move P(up)'s base rate."""
    seeds: PositiveInt = 3
    seed: NonNegativeInt = 7

    @model_validator(mode="after")
    def _a_moved_base_rate_is_used(self) -> Self:
        if self.regime_intercept and self.calibration != "base_rate_slope":
            raise ValueError(
                f"regime_intercept=true moves a base rate that calibration={self.calibration} does not use. Set "
                "calibration=base_rate_slope, or switch regime_intercept off"
            )
        return self


class NullsConfig(ModelsConfig, EnsembleConfig):
    """The recipe whose null is wanted: what the models and the ensemble of a run are made of."""

    market: str = "us"
    null_refits: NonNegativeInt = 40
    """Walks fitted anew on this market, each under labels shifted by another number of sessions; the gates ask for 40.
    Overnight, on a market of five hundred tickers; 0: none."""


class LeakageConfig(ThreadsConfig):
    audit_dates: PositiveInt = 3
    """Dates at which prices are cut and poisoned."""
    seed: NonNegativeInt = 7


class GatePolicy(StageConfig):
    """What is asked of a model. `warn_*` marks, `min_*` and `max_*` refuse."""

    min_auc: Share = 0.52
    """Mean per-session AUC of P(up) against up/down."""
    min_auc_lower: Share = 0.50
    """Lower bound of the same; a version above it but below `min_auc` becomes challenger."""
    min_wfe: float = 0.40
    """Walk-forward efficiency on direction relative to the session's median."""
    warn_wfe: float = 0.50
    max_ece: Share = 0.05
    """Expected calibration error, equal-mass bins; refused where its lower bound is above."""
    min_spread_ratio: PositiveFloat = 0.25
    """Observed spread of P(up) within a session over the expected one."""
    max_sign_gap: Share = 0.25
    """Distance between the mean of P(up) and the base rate."""
    min_coverage: Share = 0.95
    """Share of the universe with a prediction."""
    min_champion_difference: float = -0.002
    """Lower bound of the paired AUC difference to the champion."""
    promotion_window_sessions: NonNegativeInt = 20
    """Sessions that pass between two versions that are held against a champion: every look at much the same sessions is another
    chance to be lucky, so that a second one needs a person's approval; 0: each run may promote."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Two-sided level of every interval."""
    resamples: Annotated[int, Field(ge=200)] = 2000
    """Block-bootstrap resamples."""
    min_blocks: PositiveInt = 12
    """Fewer bootstrap blocks than this leave an interval undefined, hence failed."""


class GatesConfig(GatePolicy):
    market: str = "us"
    validate_only: bool = False
    """Stop once the gates have spoken."""
    skip_gates: bool = False
    """Do not judge; the report says skipped, and such a version never becomes champion."""
    seed: NonNegativeInt = 7


class AuditConfig(GatePolicy, ThreadsConfig):
    simulated_markets: PositiveInt = 100
    """Markets of each kind: noise, shifted labels, planted edges and planted leaks."""
    market_sessions: Annotated[int, Field(ge=300, le=4000)] = 300
    """Their length; all but the first 120 sessions are tested on."""
    market_tickers: Annotated[int, Field(ge=10)] = 40
    oracle_aucs: tuple[Annotated[float, Field(gt=0.5, le=0.6)], ...] = (0.52, 0.53, 0.55)
    """Mean per-session AUC that the best of all forecasters would have on the planted edges."""
    seed: NonNegativeInt = 7


class RefitConfig(ThreadsConfig):
    min_rank_correlation: Share = 0.80
    """Per-session rank correlation of the refitted with the last fold's model, below which the refit is refused."""
    spread_ratio_band: tuple[PositiveFloat, PositiveFloat] = (0.80, 1.25)
    """Allowed ratio of their spreads."""


class PromoteConfig(StageConfig):
    market: str = "us"
    reason: str = ""
    """Why, in the promoter's words; goes into the ledger."""


class PredictConfig(HorizonsConfig):
    market: str = "us"
    max_position: Share = 0.05
    """Largest position size, as a share of capital."""
    kelly_fraction: NonNegativeFloat = 0.25
    """Share of the Kelly bet that a position takes."""


class MonitorConfig(HorizonsConfig):
    market: str = "us"
    live_sessions: Annotated[int, Field(ge=1, le=2 * RECENT_SESSIONS)] = 252
    """Sessions of matured predictions that live figures are made of, the newest."""
    drift_sessions: Annotated[int, Field(ge=5, le=RECENT_SESSIONS)] = 63
    """Sessions whose features are held against those that the champion was fitted on."""
    max_psi: PositiveFloat = 0.25
    """Population stability index of a feature above which the report warns, if windows of the past were lower."""
    min_live_auc_lower: Share = 0.50
    """Lower bound of the live AUC below which the report warns."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=200)] = 2000
    min_blocks: PositiveInt = 12
    seed: NonNegativeInt = 7


class DecideConfig(StageConfig):
    model: str = ""
    """Registered model, such as foundry-us-5d."""
    action: Literal["approve", "rollback"] = "approve"
    """Promote a near miss, or make an earlier champion champion again."""
    version: PositiveInt | None = None
    """The version that is to be champion; null: the champion before, for a rollback."""
    who: str = ""
    """Who decided; goes into the ledger."""
    why: str = ""
    """Why; goes into the ledger."""


class ReportConfig(StageConfig):
    market: str = "us"
    top: PositiveInt = 10
    """Tickers in the lists of top and bottom predictions."""


class BacktestConfig(StageConfig):
    """How forecasts become positions, and what trading them costs.

    The earliest trade there is comes a session after the close that decided it: no key can say otherwise.
    """

    sizing: Sizing = "top_bottom"
    """`long_only`: an equal part for every ticker with P(up) above 0.5; the others put half the capital on either side,
    `long_short` by the side of the session's median, `top_bottom` the extremes, `probability` by the distance from it."""
    names_a_side: PositiveInt = 50
    """Tickers bought and tickers sold, for `top_bottom`."""
    entry: Entry = "next_open"
    """What the close of t decided is traded at the open or at the close of t + 1."""
    holding_sessions: Horizon | None = None
    """Sessions a position is held: so many tranches, one rebuilt a session; null: the model's own horizon."""
    max_turnover: PositiveFloat | None = None
    """Share of the capital that a session may trade, buys and sells together; null: whatever is wanted."""
    commission_bp: NonNegativeFloat = 0.5
    """Commission, basis points of what is traded."""
    half_spread_bp: NonNegativeFloat = 2.0
    """Half the distance between bid and ask, basis points of what is traded."""
    impact: Impact = "none"
    """How a trade moves its own price: not at all, by the square root of its share of the volume, or by the share squared."""
    capital: PositiveFloat = 1_000_000
    """Money at work, in the market's currency; only impact depends on it."""
    borrow_bp_a_year: NonNegativeFloat = 30.0
    """Fee for borrowed shares, basis points of the short value a year."""


class PortfolioConfig(BacktestConfig):
    """A backtest of a run's own forecasts, and how its intervals are made."""

    entry: Entry | None = None  # type: ignore[assignment] # settled against the prices, before anything is traded
    """What the close of t decided is traded at the open or at the close of t + 1; null: at the open where prices have one."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=200)] = 2000
    min_blocks: PositiveInt = 12
    seed: NonNegativeInt = 7


class SimulateConfig(StageConfig):
    """It trades by the rules that the portfolio stage wrote down."""

    retrain_sessions: Annotated[int, Field(ge=20)] | None = None
    """Besides the replay, fit everything anew every so many sessions, from the prices that there were; null: do not. Where it is
    test_sessions the forecasts must be the folds'. Slow: every session makes its own features."""
