"""Performance figures of a daily profit and loss (P&L).

A P&L is (n_sessions,), decimal of the capital (0.01 = 1 %), in order of time; the functions deduct no costs. "Undefined" is
NaN: for a constant series where the formula divides by its deviation, for an empty series, and for a series with a NaN. A
session without a figure is never dropped silently.
"""

from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.documents.portfolio import PnlFigures
from foundry_tasks.data.panel import DateArray, FloatArray
from foundry_tasks.statistics.newey_west import long_run_covariance, newey_west_lag

SESSIONS_PER_YEAR = 252
UNDEFINED = float("nan")


def equity(pnl: FloatArray) -> FloatArray:
    """Compounded equity after each session, from 1: Π (1 + r). Once all is lost it stays 0. Shape (n_sessions,)."""
    curve: FloatArray = np.cumprod(np.maximum(1 + pnl, 0.0), dtype=np.float64)
    return curve


def annualised_return(pnl: FloatArray) -> float:
    """Compound growth a year, decimal: equity^(252 / T) − 1."""
    return float(equity(pnl)[-1] ** (SESSIONS_PER_YEAR / len(pnl)) - 1) if len(pnl) else UNDEFINED


def annualised_volatility(pnl: FloatArray) -> float:
    """Standard deviation (ddof = 1) × √252, decimal a year; undefined below two sessions."""
    return float(np.std(pnl, ddof=1) * np.sqrt(SESSIONS_PER_YEAR)) if len(pnl) > 1 else UNDEFINED


def sharpe_ratio(pnl: FloatArray, *, periods_per_year: int = SESSIONS_PER_YEAR) -> float:
    """Mean over standard deviation (ddof = 1) × √periods_per_year; 1 gives the Sharpe ratio per session.

    The P&L counts as an excess return: no riskless rate is subtracted. Sharpe (1994). Undefined for a constant series.

    >>> round(sharpe_ratio(np.array([0.01, -0.005, 0.007, 0.002])), 2)
    8.47
    """
    if len(pnl) < 2 or np.ptp(pnl) == 0:
        return UNDEFINED
    return float(np.mean(pnl) / np.std(pnl, ddof=1) * np.sqrt(periods_per_year))


def sortino_ratio(pnl: FloatArray) -> float:
    """Mean over downside deviation × √252, downside = √(mean of min(r, 0)²) over all sessions, target 0.

    Sortino and Price (1994). Undefined without a losing session.
    """
    if not len(pnl):
        return UNDEFINED
    downside = np.sqrt(np.mean(np.minimum(pnl, 0.0) ** 2))
    return float(np.mean(pnl) / downside * np.sqrt(SESSIONS_PER_YEAR)) if downside != 0 else UNDEFINED


def drawdown(pnl: FloatArray) -> FloatArray:
    """1 − equity / highest equity so far (at least the initial 1) after each session, ≥ 0. Shape (n_sessions,)."""
    curve = equity(pnl)
    lost: FloatArray = 1 - curve / np.maximum(np.maximum.accumulate(curve), 1.0)
    return lost


def max_drawdown(pnl: FloatArray) -> float:
    """Largest drawdown of the compounded equity, decimal: 0.25 = a loss of a quarter from a peak.

    >>> max_drawdown(np.array([0.1, -0.5, 0.2]))
    0.5
    """
    return float(np.max(drawdown(pnl))) if len(pnl) else UNDEFINED


def calmar_ratio(pnl: FloatArray) -> float:
    """Annualised return over maximum drawdown, over the whole series. Young (1991). Undefined without a drawdown."""
    deepest = max_drawdown(pnl)
    return annualised_return(pnl) / deepest if deepest != 0 else UNDEFINED


def win_rate(pnl: FloatArray) -> float:
    """Share of gains among the non-zero figures: of days for a daily P&L, of trades for a P&L by trade.

    Undefined if all figures are zero. The size of gains and losses does not count: many small gains and one large loss can
    be a high win rate and a loss.
    """
    if np.isnan(pnl).any() or not np.any(pnl):
        return UNDEFINED
    return float(np.mean(pnl[pnl != 0] > 0))


@dataclass(frozen=True, slots=True)
class MarketRegression:
    """P&L = alpha + beta · benchmark. alpha: decimal per session. t: with Newey–West standard errors of `lag` lags."""

    alpha: float
    beta: float
    alpha_t: float
    beta_t: float
    lag: int

    @property
    def annualised_alpha(self) -> float:
        """Alpha × 252, decimal a year."""
        return self.alpha * SESSIONS_PER_YEAR


def market_regression(pnl: FloatArray, benchmark: FloatArray) -> MarketRegression:
    """Alpha and beta by least squares, Jensen (1968).

    pnl, benchmark: (n_sessions,), decimal, of the same sessions. Undefined below three sessions, for a constant benchmark
    and with a NaN in either series; t is also undefined if the fit is exact.
    """
    n_sessions = len(pnl)
    lag = newey_west_lag(n_sessions)
    if n_sessions < 3 or not np.isfinite(pnl + benchmark).all() or np.ptp(benchmark) == 0:
        return MarketRegression(UNDEFINED, UNDEFINED, UNDEFINED, UNDEFINED, lag)
    design = np.column_stack([np.ones(n_sessions), benchmark])
    bread = np.linalg.inv(design.T @ design / n_sessions)
    coefficients = bread @ (design.T @ pnl / n_sessions)
    residuals = pnl - design @ coefficients
    covariance = bread @ long_run_covariance(design * residuals[:, None], lag) @ bread / n_sessions
    exact = np.abs(residuals).max() <= 1e-12 * max(np.abs(pnl).max(), np.abs(benchmark).max())
    t = np.full(2, UNDEFINED) if exact else coefficients / np.sqrt(np.diag(covariance))
    return MarketRegression(float(coefficients[0]), float(coefficients[1]), float(t[0]), float(t[1]), lag)


@dataclass(frozen=True, slots=True)
class MonthlyTable:
    """Compounded returns, decimal. years: ascending. months: (n_years, 12), NaN without a session. totals: (n_years,)."""

    years: tuple[int, ...]
    months: FloatArray
    totals: FloatArray


def monthly_table(sessions: DateArray, pnl: FloatArray) -> MonthlyTable:
    """Returns by calendar month and year. sessions: (n_sessions,) datetime64[D], ascending; pnl: of the same sessions."""
    month = sessions.astype("datetime64[M]").astype(int)  # months since January 1970
    year = month // 12 + 1970
    years = np.unique(year)
    months = np.full((len(years), 12), np.nan)
    for value in np.unique(month):
        months[np.searchsorted(years, value // 12 + 1970), value % 12] = equity(pnl[month == value])[-1] - 1
    totals = np.array([equity(pnl[year == value])[-1] - 1 for value in years])
    return MonthlyTable(tuple(int(value) for value in years), months, totals)


def headline_figures(pnl: FloatArray, *, turnover: FloatArray, benchmark: FloatArray) -> PnlFigures:
    """Every figure of a daily P&L; pnl, turnover (traded share of the capital), benchmark: (n_sessions,)."""
    regression = market_regression(pnl, benchmark)
    return PnlFigures(
        annualised_return=annualised_return(pnl),
        annualised_volatility=annualised_volatility(pnl),
        sharpe=sharpe_ratio(pnl),
        sortino=sortino_ratio(pnl),
        max_drawdown=max_drawdown(pnl),
        calmar=calmar_ratio(pnl),
        win_rate=win_rate(pnl),
        mean_turnover=float(np.mean(turnover)) if len(turnover) else UNDEFINED,
        annualised_alpha=regression.annualised_alpha,
        alpha_t=regression.alpha_t,
        beta=regression.beta,
        beta_t=regression.beta_t,
    )
