"""portfolio.json: what a run's forecasts would have earned, per horizon."""

from typing import ClassVar

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.documents.base import Figure, HorizonsDocument, Interval, Part


class CostsInBp(Part):
    """Mean costs a session by their kind, in basis points of the capital."""

    commission: Figure
    spread: Figure
    impact: Figure
    borrow: Figure
    total: Figure


class Exposure(Part):
    """Mean exposure, as a share of the capital. gross: long and short added. net: long less short."""

    gross: Figure
    net: Figure


class MarketFigures(Part):
    """A daily P&L in figures: return and volatility a year, decimal; the Sharpe ratio a year; the drawdown, decimal, ≥ 0."""

    annualised_return: Figure
    annualised_volatility: Figure
    sharpe: Figure
    max_drawdown: Figure


class PnlFigures(MarketFigures):
    """The figures of a portfolio's P&L. mean_turnover: share of the capital traded a session. Alpha: decimal a year."""

    sortino: Figure
    calmar: Figure
    win_rate: Figure
    mean_turnover: Figure
    annualised_alpha: Figure
    alpha_t: Figure
    beta: Figure
    beta_t: Figure


class MonthlyReturns(Part):
    """Compounded returns, decimal; None for a month without a session."""

    years: tuple[int, ...]
    months: tuple[tuple[Figure, ...], ...]
    """Twelve for each year."""
    totals: tuple[Figure, ...]
    """One for each year."""


class LadderMean(Interval):
    """A cell of the edge-decay ladder: mean net basis points of the capital a session. cost_bp: a side."""

    entry: str
    holding_sessions: int
    cost_bp: float


class BreakEven(Part):
    """The cost a side, in basis points, at which an entry and a holding earn nothing."""

    entry: str
    holding_sessions: int
    cost_bp: Figure


class Ladder(Part):
    """The edge-decay ladder."""

    cells: tuple[LadderMean, ...]
    break_even_bp: tuple[BreakEven, ...]
    absent: tuple[str, ...]
    """Entries that the prices do not allow, and why."""
    sessions: int
    """Sessions that every cell is measured on."""


class FoldEarnings(Part):
    """Accuracy of one fold before and in its test, and what its decisions earned.

    validation_relative, test_relative: share of directions that were right, relative to the session's median. wfe_relative,
    wfe_up: walk-forward efficiency of that accuracy and of up or down. sessions, net_bp, sharpe: of its decisions, after
    costs; basis points of the capital a session, Sharpe ratio a year.
    """

    fold: int
    sessions: int
    validation_relative: Figure
    test_relative: Figure
    wfe_relative: Figure
    wfe_up: Figure
    net_bp: Figure
    sharpe: Figure


class Earnings(Part):
    """Figures of one backtest. Basis points are those of the capital, means are a session's."""

    holding_sessions: int
    sessions: int
    first: str | None
    """ISO date."""
    last: str | None
    """ISO date."""
    net_bp: Interval
    gross_bp: Interval
    sharpe: Interval
    sharpe_above_zero: Figure
    """Probability that the Sharpe ratio is above zero."""
    costs_bp: CostsInBp
    break_even_bp: Figure
    """Cost a side at which nothing is left."""
    figures: PnlFigures
    benchmark: MarketFigures
    buy_and_hold: MarketFigures
    exposure: Exposure
    halted: int
    """Position-days without a price."""
    delisted: int
    trades: int
    monthly: MonthlyReturns


class TradedHorizon(Earnings):
    """What the forecasts of one horizon would have earned, traded by the run's rules and by other ones."""

    ladder: Ladder
    folds: tuple[FoldEarnings, ...]


class Portfolio(HorizonsDocument[TradedHorizon]):
    """Horizon → what its forecasts would have earned. confidence: of every interval."""

    stage: ClassVar[str] = "portfolio"
    artifact: ClassVar[str] = "portfolio.json"

    rules: BacktestConfig
    """How forecasts became positions, with the entry settled."""
    confidence: float
