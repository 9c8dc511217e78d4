"""Configuration: one frozen model per stage, units in the names of fields.

A run's conf is one flat document. Every stage reads the keys of its model. A key of no stage is refused. A key has the
same meaning in every stage. Market files hold defaults for the same keys.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar, get_args

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
    WithJsonSchema,
    field_validator,
    model_validator,
)

from foundry_tasks.contract.module_names import names_in
from foundry_tasks.contract.plain import ConfValue

T = TypeVar("T")


def _day(value: ConfValue) -> date | None:
    """Accept a date or its ISO text. Pydantic alone would also accept a number, as seconds since 1970."""
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("write the day as 2020-01-31 or 20200131") from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`: did you mean 'date'?` with the nearest of the known words; a colon where none is near.

    >>> did_you_mean("horizon", ["horizons", "seed"])
    ": did you mean 'horizons'?"
    """
    import difflib  # noqa: PLC0415 - needed for a mistyped word only

    nearest = difflib.get_close_matches(word.lower(), list(known), 1)
    return f": did you mean {nearest[0]!r}?" if nearest else ":"


Day = Annotated[date, BeforeValidator(_day)]
Ticker = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Bar = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""`TICKER DATE`, or `TICKER` for all of its bars."""
PRICE_COLUMNS = ("date", "ticker", "open", "high", "low", "close", "adj_close", "volume")
"""Roles that a column of a price file may have."""
DeclaredColumn = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": rf"^\s*({'|'.join(PRICE_COLUMNS)})\s*=", "minLength": 1})
]
"""`role=column`. The pattern is part of the JSON schema only: the validator's messages are clearer."""
MARKET_NAME = r"^[a-z][a-z0-9_]*$"
Horizon = Annotated[int, Field(ge=1, le=60)]
DEEP_MODELS = names_in("models/base/deep")
"""Sequence models. TensorFlow fits them, in a separate image."""
MODEL_NAMES = (*names_in("models/base", first=("logistic", "lightgbm", "xgboost")), *DEEP_MODELS)
"""Allowed values of `models`: the files of `foundry_tasks/models/base`."""
LIVE_SOURCES = names_in("data/sources/live", first=("yfinance",))
"""Price sources that fetch over the network."""
PRICE_SOURCES = (*names_in("data/sources", first=("sample",)), *LIVE_SOURCES)
"""Allowed values of `source`: the files of `foundry_tasks/data/sources`."""
if TYPE_CHECKING:
    ModelName = str
    SourceName = str
    LiveSourceName = str
else:  # pydantic validates these names and lists them in forms; mypy cannot read a computed Literal
    ModelName = Literal[MODEL_NAMES]
    SourceName = Literal[PRICE_SOURCES]
    LiveSourceName = Literal[LIVE_SOURCES]
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
"""Last sessions that a predict-only run computes features of, each from all prices that it looks back on. No input sequence
and no window of drift is longer."""
MIN_REFITS = 40
"""Refits of a null; with fewer, the 95 % quantile is little more than the maximum."""
MIN_DENOISED_SESSIONS = 4
"""Sessions that the two wavelet levels of a window span."""


class StageConfig(BaseModel):
    """Base of all configs: frozen, without extra keys. `check_conf` refuses keys of a conf that no stage has."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        defer_build=True,  # built at first use: a stage validates only its own config
    )

    @field_validator("*")
    @classmethod
    def _text_fits_into_json(cls, value: T) -> T:
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError("this is not UTF-8 text. Use a name in UTF-8") from None
        return value


class MarketConfig(StageConfig):
    """Which market a stage works for."""

    market: str = Field(default="us", pattern=MARKET_NAME)
    """Name of a market file: a universe with a calendar. Registered models carry the name."""


class SeedConfig(StageConfig):
    """Where random numbers start."""

    seed: NonNegativeInt = 7
    """First random seed."""


class BlocksConfig(StageConfig):
    """How confidence intervals of means over sessions are computed."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Two-sided confidence level of intervals."""
    min_blocks: PositiveInt = 12
    """Smallest number of blocks of sessions. With fewer an interval is undefined, and its gate fails."""


class IntervalsConfig(BlocksConfig):
    """How confidence intervals are computed, those of the block bootstrap included."""

    resamples: Annotated[int, Field(ge=200)] = 2000
    """Resamples of the block bootstrap, for figures that are no mean: walk-forward efficiency, Sharpe ratio, ECE."""


class HorizonsConfig(StageConfig):
    """Which horizons are forecast."""

    horizons: tuple[Horizon, ...] = Field(default=(1, 5, 20), min_length=1)
    """Trading days ahead. Each horizon gets a model of its own."""

    @model_validator(mode="after")
    def _horizons_are_distinct(self) -> Self:
        if len(set(self.horizons)) != len(self.horizons):
            raise ValueError(f"horizons must be distinct, got {list(self.horizons)}")
        return self


class ThreadsConfig(StageConfig):
    """How many CPU threads a stage may use."""

    threads: PositiveInt = 2
    """CPU threads. Base models are fitted side by side, one thread each."""


class PricesConfig(MarketConfig):
    """Source of prices, tickers and dates to read, and bars that are exempt from the checks."""

    calendar: str = "XNYS"
    """Exchange calendar (ISO 10383 market code). It says which days are sessions."""
    source: SourceName = "sample"
    """Where prices come from. `sample`: built in; `parquet`: own files, Parquet or CSV; `yfinance`: Yahoo Finance;
    `tiingo`: Tiingo, with the key in the secret file `tiingo_api_key`."""
    cross_check: LiveSourceName | None = None
    """Second live source. Closes of the newest sessions that differ there are named in a warning. Empty: none."""
    prices: str = ""
    """File, folder or `s3://` URI of daily prices, for source `parquet`. Empty: none."""
    columns: tuple[DeclaredColumn, ...] = ()
    """Columns of own price files whose names do not say what they hold: `date=trade_date`; `adj_close=` for none. In a
    market file also `columns = {date = "trade_date"}`. Empty: found by name."""
    tickers: tuple[Ticker, ...] = ()
    """Tickers to fetch (sources `yfinance`, `tiingo`) or to keep (other sources). Empty: all that the source holds."""
    sectors: str = ""
    """CSV file or URI with the columns ticker, sector, and for sectors that change start_date, end_date. Empty: no
    sectors."""
    benchmark: str = ""
    """File or URI of one series: date, close or adj_close. Empty: the source's own, else the mean of the universe."""
    vix: str = ""
    """File or URI of one series of the VIX: date, close. Empty: no VIX."""
    universe: str = ""
    """CSV file or URI with the columns ticker, start_date, end_date: point-in-time membership. Empty: every ticker,
    always."""
    start: Day | None = None
    """First session. Empty: the first of the source."""
    end: Day | None = None
    """Last session; the run's as-of moves back to it. Empty: the last completed one that the source has."""
    overlap_sessions: PositiveInt = 10
    """Sessions that each run fetches again, to detect restated prices (splits, dividends)."""
    skip_closed: bool = False
    """Skip the run when the day after as-of is not a session and prices reach as-of."""
    keep: tuple[Bar, ...] = ()
    """Bars that are right although a rule says otherwise, each `TICKER DATE` or `TICKER`: a crash that looks like a split.
    Empty: none."""
    redenominations: tuple[Day, ...] = ()
    """Dates on which the currency changed its unit: every price steps by one factor, and nothing reaches across.
    Empty: none."""
    min_coverage: Share = 0.95
    """Smallest share of the universe's ticker-sessions that must remain without bad rows and tickers; refuses below
    it."""

    @field_validator("columns", mode="before")
    @classmethod
    def _columns_of_a_table(cls, value: ConfValue) -> ConfValue:
        if isinstance(value, dict) and all(isinstance(part, str) for item in value.items() for part in item):
            return [f"{role}={column}" for role, column in value.items()]
        return value

    @field_validator("columns")
    @classmethod
    def _a_column_has_one_known_role(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        found: dict[str, str] = {}
        for item in value:
            role, equals, column = (part.strip() for part in item.partition("="))
            if not equals:
                raise ValueError(f"write {item!r} as role=column, such as date=trade_date")
            if role not in PRICE_COLUMNS:
                raise ValueError(
                    f"no role {role!r}{did_you_mean(role, PRICE_COLUMNS)} The roles are {', '.join(PRICE_COLUMNS)}"
                )
            if found.setdefault(role, column) != column:
                raise ValueError(f"{role} has two columns, {found[role]!r} and {column!r}. Leave one out")
        if twice := sorted(column for column in found.values() if column and list(found.values()).count(column) > 1):
            raise ValueError(f"column {twice[0]!r} has two roles. Give it one")
        return tuple(f"{role}={found[role]}" for role in PRICE_COLUMNS if role in found)

    @property
    def declared_columns(self) -> dict[str, str]:
        """Role → column, "" for none."""
        return dict(item.split("=", 1) for item in self.columns)

    @model_validator(mode="after")
    def _another_source_checks(self) -> Self:
        if self.cross_check == self.source:
            raise ValueError(f"cross_check={self.cross_check} is the source itself. Name another, or leave it out")
        return self


class FeaturesConfig(HorizonsConfig, ThreadsConfig):
    """Which features are computed."""

    feature_set: Literal["core", "extended"] = "extended"
    """`core`: the nine features of the reference system; `extended`: all features."""


class LabelsConfig(HorizonsConfig):
    """Which forward returns become labels."""

    label_entry: LabelEntry = "close"
    """Price that a label's return starts from: the close of t, the open of t+1 or the close of t+1."""


def fold_name(number: int) -> str:
    """`fold3`; the warm-up blocks before `fold1` are numbered 0, −1, …: `warmup1`, `warmup2`.

    >>> fold_name(3), fold_name(0)
    ('fold3', 'warmup1')
    """
    return f"fold{number}" if number >= 1 else f"warmup{1 - number}"


class WalkConfig(HorizonsConfig):
    """How sessions are split into fit, validation and test windows. All lengths are counted in sessions."""

    walk: Literal["anchored", "rolling"] = "anchored"
    """`anchored`: the fit window grows; `rolling`: it slides."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Number of reported folds."""
    test_sessions: Annotated[int, Field(ge=20)] = 150
    """Sessions in the test window of a fold and in a warm-up block."""
    validation_sessions: Annotated[int, Field(ge=20)] = 63
    """Sessions between fit and test, the denominator of the walk-forward efficiency. They neither stop nor select a
    model."""
    warmup_blocks: NonNegativeInt = 2
    """Out-of-fold blocks before the first reported fold. Meta-learner and calibrator learn from them."""
    first_test_session: NonNegativeInt | None = None
    """Index of the first test session of the first reported fold. Empty: so that the last fold ends with the last
    session."""
    fit_sessions: PositiveInt | None = None
    """Length of a rolling fit window. Empty: that of the first fold."""
    min_fit_sessions: PositiveInt = 100
    """Smallest number of fit sessions in a block; fewer are refused."""
    embargo_sessions: NonNegativeInt = 0
    """Sessions dropped in addition to the purge of h."""

    @property
    def lookback_sessions(self) -> int:
        """Sessions before its own that the inputs of a row reach back to."""
        return 0

    @property
    def gap_sessions(self) -> int:
        """Sessions of a purge beyond the label span: embargo + lookback."""
        return self.embargo_sessions + self.lookback_sessions


class DeepConfig(StageConfig):
    """How the sequence models are built and trained. Unused where `models` names none of them."""

    sequence_sessions: Annotated[int, Field(ge=2, le=RECENT_SESSIONS - 2)] = 20
    """Length of a deep model's input sequence. The purge of the whole walk grows by one session less."""
    deep_size: DeepSize | None = None
    """Size of the deep models and length of their training. Empty: full on a GPU, small on a CPU."""
    deep_epochs: PositiveInt | None = None
    """Training epochs of the deep models. Empty: those of `deep_size`."""
    deep_loss: DeepLoss = "cross_entropy_correlation"
    """Loss function of the deep models."""
    deep_tasks: tuple[DeepTask, ...] = ("sign",)
    """Tasks of lstm_transformer. `sign` is its score; `size` and `volatility` of the move are auxiliary."""
    denoise: bool = False
    """Denoise the inputs of xlstm_ts by wavelets, each window by itself, so without later sessions."""
    learning_rate: PositiveFloat = 1e-3
    """Largest learning rate of the deep models; warm-up before, cosine decay after."""
    precision: Precision = "float32"
    """Precision of the deep models' matrix products. Gates, states and loss are always float32."""

    @model_validator(mode="after")
    def _deep_tasks_are_distinct_and_contain_sign(self) -> Self:
        if "sign" not in self.deep_tasks or len(set(self.deep_tasks)) != len(self.deep_tasks):
            raise ValueError(
                f"deep_tasks must contain sign and may contain size and volatility, each once, got {list(self.deep_tasks)}"
            )
        return self

    @model_validator(mode="after")
    def _windows_are_long_enough_for_wavelets(self) -> Self:
        if self.denoise and self.sequence_sessions < MIN_DENOISED_SESSIONS:
            raise ValueError(
                f"denoise needs windows of {MIN_DENOISED_SESSIONS} sessions or more, got sequence_sessions="
                f"{self.sequence_sessions}"
            )
        return self


class ModelsConfig(WalkConfig, ThreadsConfig, DeepConfig, SeedConfig):
    """Which base models are fitted, on which labels, and how."""

    models: tuple[ModelName, ...] = Field(default=("logistic", "lightgbm", "xgboost"), min_length=1)
    """Base models. `lstm_transformer` and `xlstm_ts` are deep: they need TensorFlow and much more time."""
    label_kind: LabelKind | None = None
    """Label that base models learn: up or down, above the median of the session, above that of the sector. Empty: the
    best one for each model."""
    seeds: PositiveInt = 3
    """Fits that are averaged per model and fold. The logistic regression needs one."""
    early_stopping: bool = False
    """Stop boosting by the AUC on a purged window inside the fit window. Otherwise the rounds are fixed."""
    stopping_sessions: Annotated[int, Field(ge=126)] = 126
    """Length of the window of `early_stopping`."""
    tuning_trials: NonNegativeInt = 0
    """Random draws of the boosters' parameters, compared inside the fit window."""
    fan_out: FanOut | None = Field(default=None, exclude=True)
    """Tasks that the models stage is split into: one, per base model, also per fold, also per horizon. Empty: none in
    a process, model in containers."""
    per_regime: bool = False
    """Fit each base model twice: on sessions of low and of high market volatility."""

    @property
    def deep_models(self) -> tuple[ModelName, ...]:
        """The sequence models among `models`."""
        return tuple(name for name in self.models if name in DEEP_MODELS)

    @property
    def lookback_sessions(self) -> int:
        """Sessions of a deep model's sequence before its own; 0 without deep models. All models share it, to be stacked."""
        return self.sequence_sessions - 1 if self.deep_models else 0

    @model_validator(mode="after")
    def _deep_models_are_neither_tuned_nor_fitted_per_regime(self) -> Self:
        if self.deep_models and (self.per_regime or self.tuning_trials):
            raise ValueError(
                f"{' and '.join(self.deep_models)} cannot be fitted per regime (half the sessions) or tuned (a training "
                "per draw). Set per_regime=false and tuning_trials=0, or leave them out of models"
            )
        return self

    @model_validator(mode="after")
    def _regime_fits_have_fixed_rounds_and_parameters(self) -> Self:
        if self.per_regime and (self.early_stopping or self.tuning_trials):
            raise ValueError(
                "per_regime=true needs fixed rounds and parameters: a window for stopping or tuning would hold too few "
                "sessions of a regime. Set early_stopping=false and tuning_trials=0, or per_regime=false"
            )
        return self


class EnsembleConfig(ThreadsConfig, SeedConfig):
    """How the scores of base models become P(up)."""

    calibration: Calibration = "base_rate_slope"
    """Method that turns scores into P(up)."""
    calibration_sessions: PositiveInt = 252
    """Window of `platt`, `isotonic` and `beta` calibration, in sessions."""
    regime_scale: bool = False
    """Let the market regime scale the scores of a session. Ranks stay."""
    regime_intercept: bool = False
    """Let the market regime shift the base rate of P(up)."""
    seeds: PositiveInt = 3

    @model_validator(mode="after")
    def _regime_intercept_needs_base_rate_slope(self) -> Self:
        if self.regime_intercept and self.calibration != "base_rate_slope":
            raise ValueError(
                f"regime_intercept=true moves a base rate that calibration={self.calibration} does not use. Set "
                "calibration=base_rate_slope, or switch regime_intercept off"
            )
        return self


class NullsConfig(ModelsConfig, EnsembleConfig, MarketConfig):
    """The recipe whose null is estimated: the configs of models and ensemble, and the number of refits."""

    null_refits: NonNegativeInt = 40
    """Walks that are fitted anew on this market under shifted labels; 0: none. The gates ask for 40, which takes a
    night on 500 tickers."""


class LeakageConfig(ThreadsConfig):
    """How many dates the leakage audit examines."""

    audit_dates: PositiveInt = 3
    """Dates at which the leakage audit cuts and poisons prices."""


class GatePolicy(IntervalsConfig):
    """Thresholds of the gates. `warn_*` only warns; `min_*` and `max_*` refuse the model."""

    min_auc: Share = 0.52
    """Mean per-session AUC of P(up) against up/down."""
    min_auc_lower: Share = 0.50
    """Lower bound of the same. A version above it with an AUC below `min_auc` becomes challenger."""
    min_wfe: float = 0.40
    """Walk-forward efficiency on direction relative to the session's median."""
    warn_wfe: float = 0.50
    """Walk-forward efficiency below which the gate warns."""
    max_calibration_gap: Share = 0.03
    """Mean outcome minus mean P(up), in absolute value. Refused if the whole interval is beyond."""
    min_spread_ratio: PositiveFloat = 0.25
    """Observed dispersion of P(up) within a session, divided by the expected one."""
    max_sign_gap: Share = 0.25
    """Distance between the share of P(up) above ½ and the share that base rate and dispersion explain."""
    min_coverage: Share = 0.95
    """Share of the universe with a prediction."""
    min_champion_difference: float = -0.002
    """Lower bound of the paired AUC difference to the champion."""
    min_null_refits: NonNegativeInt = Field(default=0, exclude_if=lambda refits: refits == 0)
    """Refits under shifted labels that an audit must have stored for the same prices, else the AUC gate is undefined: 40
    or more, since fewer have no 95 % quantile. 0: none is needed."""
    # Not written where it is 0: gates.json is part of a version's identity, and must not differ from that of version 0.2.
    promotion_window_sessions: NonNegativeInt = 20
    """New sessions after which the same recipe may promote by itself again. Another recipe on data that were tested
    needs a person's approval, since each further look at the same sessions is another chance to be lucky."""

    @field_validator("min_null_refits")
    @classmethod
    def _a_null_has_a_quantile(cls, value: int) -> int:
        if 0 < value < MIN_REFITS:
            raise ValueError(f"{value} refits have no 95 % quantile. Ask for {MIN_REFITS} or more, or for 0")
        return value


class GatesConfig(GatePolicy):
    """Thresholds of the gates, where a run is stricter than its market's policy, and the consequence of their verdict."""

    validate_only: bool = False
    """Stop after the gates."""
    skip_gates: bool = False
    """Skip the gates. The report says so, and the version cannot become champion."""


class AuditConfig(GatePolicy, ThreadsConfig, SeedConfig):
    """Simulated markets on which the error rates of the gates are measured."""

    simulated_markets: PositiveInt = 100
    """Simulated markets of each kind: noise, shifted labels, planted edges, planted leaks."""
    market_sessions: Annotated[int, Field(ge=300, le=4000)] = 300
    """Sessions of a simulated market. All but the first 120 are tested on."""
    market_tickers: Annotated[int, Field(ge=10)] = 40
    """Tickers of a simulated market."""
    oracle_aucs: tuple[Annotated[float, Field(gt=0.5, le=0.6)], ...] = (0.52, 0.53, 0.55)
    """Sizes of the planted edges: mean per-session AUC of the best possible forecast."""


class RefitConfig(ThreadsConfig):
    """How close the refitted model must be to the last fold's. Otherwise the last fold's is bundled."""

    min_rank_correlation: Share = 0.80
    """Per-session rank correlation of the refitted model with that of the last fold. Refused below."""
    spread_ratio_band: tuple[PositiveFloat, PositiveFloat] = (0.80, 1.25)
    """Allowed ratio of the refitted model's spread to that of the last fold."""


class PromoteConfig(StageConfig):
    """What the ledger records in addition to the verdict."""

    reason: str = ""
    """Reason for the run, written into the ledger. Empty: none."""


class PredictConfig(HorizonsConfig, MarketConfig):
    """How forecasts become suggested positions."""

    max_position: Share = 0.05
    """Largest suggested position, long or short, as a share of capital. All positions together are at most the
    capital."""
    kelly_fraction: NonNegativeFloat = 0.25
    """Suggested position as a share of the Kelly bet on P(up) over the base rate, mean of the promoted horizons. Without
    a champion there is no position."""


class MonitorConfig(HorizonsConfig, MarketConfig, BlocksConfig):
    """From which sessions live figures and drift are computed, and when the report warns."""

    live_sessions: Annotated[int, Field(ge=1, le=2 * RECENT_SESSIONS)] = 252
    """Newest sessions of matured predictions that live figures are computed from."""
    drift_sessions: Annotated[int, Field(ge=5, le=RECENT_SESSIONS)] = 63
    """Newest sessions whose features are compared with those that the champion was fitted on."""
    max_psi: PositiveFloat = 0.25
    """Population stability index of a feature above which the report warns, if past windows were lower."""
    min_live_auc_lower: Share = 0.50
    """Lower bound of the live AUC below which the report warns."""


class DecideConfig(MarketConfig):
    """What a person decided: approval or rollback of a version, or a change of a market's policy, and why."""

    model: str = ""
    """Registered model, such as foundry-us-5d."""
    action: Literal["approve", "rollback", "policy"] = "approve"
    """Promote a challenger, make an earlier champion champion again, or change the policy of `market`."""
    version: PositiveInt | None = None
    """Version that becomes champion. Empty: the champion before, for a rollback."""
    changes: str = ""
    """Changes of the policy, separated by blanks, such as `min_auc=0.53 folds=4`."""
    who: str = ""
    """Who decided, written into the ledger."""
    authenticated: bool = False
    """Whether Airflow knew the person by a login, written into the ledger. The DAG sets it after the approval."""
    why: str = ""
    """Why, written into the ledger."""


class ReportConfig(MarketConfig):
    """What the report lists."""

    top: PositiveInt = 10
    """Length of the report's lists of top and bottom predictions."""


class BacktestConfig(StageConfig):
    """How forecasts become positions, and what trading them costs.

    The earliest trade is one session after the close that decided it. No key changes that.
    """

    sizing: Sizing = "top_bottom"
    """`long_only`: equal weights for P(up) above 0.5. The others are half long, half short: `long_short` above and
    below the median, `top_bottom` the extremes, `probability` by the distance from the median."""
    names_a_side: PositiveInt = 50
    """Tickers bought and tickers sold, for sizing `top_bottom`."""
    entry: Entry = "next_open"
    """Trade at the open or at the close of t+1 what the close of t decided."""
    holding_sessions: Horizon | None = None
    """Sessions that a position is held; as many tranches, one rebuilt each session. Empty: the model's horizon."""
    max_turnover: PositiveFloat | None = None
    """Largest share of capital traded in a session, buys and sells together. Empty: no limit."""
    commission_bp: NonNegativeFloat = 0.5
    """Commission, in basis points of the traded value."""
    half_spread_bp: NonNegativeFloat = 2.0
    """Half of the bid-ask spread, in basis points of the traded value."""
    impact: Impact = "none"
    """Price impact of a trade: none, by the square root of its share of the volume, or by the share squared."""
    capital: PositiveFloat = 1_000_000
    """Capital in the market's currency. Only the impact depends on it."""
    borrow_bp_a_year: NonNegativeFloat = 30.0
    """Fee for borrowed shares, in basis points of the short value per year."""


class PortfolioConfig(BacktestConfig, IntervalsConfig, SeedConfig):
    """A backtest of a run's forecasts, and the resampling of its intervals."""

    entry: Entry | None = None  # type: ignore[assignment] # resolved from the columns of the prices, before trading
    """Trade at the open or at the close of t+1 what the close of t decided. Empty: at the open where prices have
    one."""


class SimulateConfig(StageConfig):
    """A forward simulation. Its trading rules are those of portfolio.json."""

    retrain_sessions: Annotated[int, Field(ge=20)] | None = None
    """Also simulate with models that are refitted every so many sessions (slow). With the value of test_sessions, the
    forecasts must equal those of the folds. Empty: replay only."""
