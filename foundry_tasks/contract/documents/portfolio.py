"""portfolio.json: earnings of a run's forecasts in a backtest, per horizon."""

from typing import ClassVar

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.documents.base import Figure, HorizonsDocument, Interval, Part


class CostsInBp(Part):
    """Mean costs per session by kind, in basis points of the capital."""

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
    """Figures of a daily P&L, annualised: return and volatility, decimal; Sharpe ratio. Maximum drawdown: decimal, ≥ 0."""

    annualised_return: Figure
    annualised_volatility: Figure
    sharpe: Figure
    max_drawdown: Figure


class PnlFigures(MarketFigures):
    """Figures of a portfolio's P&L. mean_turnover: share of the capital traded per session. Alpha: decimal per year."""

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
    """A cell of the edge-decay ladder: mean net basis points of the capital per session. cost_bp: cost per side."""

    entry: str
    holding_sessions: int
    cost_bp: float


class BreakEven(Part):
    """Cost per side, in basis points, at which the mean net return of an entry and a holding is zero."""

    entry: str
    holding_sessions: int
    cost_bp: Figure


class Ladder(Part):
    """The edge-decay ladder."""

    cells: tuple[LadderMean, ...]
    break_even_bp: tuple[BreakEven, ...]
    absent: tuple[str, ...]
    """Entries that the prices lack data for, with the reason."""
    sessions: int
    """Sessions that every cell is measured on."""


class FoldEarnings(Part):
    """Accuracy of one fold before and in its test, and what its decisions earned.

    validation_relative, test_relative: share of right directions relative to the session's median. wfe_relative, wfe_up:
    walk-forward efficiency of that share and of the share of right up/down calls. sessions, net_bp, sharpe: of the fold's
    decisions, after costs; basis points of the capital per session, annualised Sharpe ratio.
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
    """Figures of one backtest. Basis points are of the capital; means are per session."""

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
    """Cost per side at which the mean net return is zero."""
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
    """Earnings of one horizon's forecasts under the run's rules; a ladder under other entries, holdings and costs."""

    ladder: Ladder
    folds: tuple[FoldEarnings, ...]


class Portfolio(HorizonsDocument[TradedHorizon]):
    """Horizon → earnings of its forecasts. confidence: level of every interval."""

    stage: ClassVar[str] = "portfolio"
    artifact: ClassVar[str] = "portfolio.json"

    rules: BacktestConfig
    """The trading rules, with the entry resolved."""
    confidence: float
