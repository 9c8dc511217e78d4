"""The standard portfolio: one fixed rule to trade any scores, so that their P&L can be compared.

Rules and costs are those of `STANDARD_PORTFOLIO`. No key of a run's conf changes them. The entry is the first tradable one: the
next open where enough scored members have one, else the next close. Tickers that are no members at that session are not
bought and do not count: the size of the universe is the largest number of members in a scored session.
"""

from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import BacktestConfig, Entry
from foundry_tasks.contract.standard_portfolio import STANDARD_PORTFOLIO
from foundry_tasks.data.panel import DateArray, FloatArray, PricePanel
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.costs import BP
from foundry_tasks.evaluation.performance import sharpe_ratio
from foundry_tasks.evaluation.positions import target_weights


@dataclass(frozen=True)
class DailyPnl:
    """Daily P&L. sessions: (n_sessions,) datetime64[D], ascending. pnl: same shape, decimal of the capital, after costs."""

    sessions: DateArray
    pnl: FloatArray

    @property
    def sharpe(self) -> float:
        """Sharpe ratio per session, without √252; 0 for a constant P&L."""
        sharpe = sharpe_ratio(self.pnl, periods_per_year=1)
        return sharpe if np.isfinite(sharpe) else 0.0


@dataclass(frozen=True)
class StandardTrades:
    """P&L and trades of the standard portfolio of some scores.

    entry: at which it trades. daily: P&L after all costs. before_costs: (n_sessions,), P&L after the fee for borrowed shares
    and before the costs of trades. turnover: same shape, value bought plus value sold. Both are decimals of the capital.
    """

    entry: Entry
    daily: DailyPnl
    before_costs: FloatArray
    turnover: FloatArray

    @property
    def break_even_bp(self) -> float:
        """Cost of a trade, in basis points of its value, at which the mean P&L is zero; NaN if nothing was traded."""
        traded = self.turnover.sum()
        return float(self.before_costs.sum() / traded / BP) if traded else float("nan")

    @property
    def break_even_by_session(self) -> FloatArray:
        """(n_sessions,): a series whose mean is `break_even_bp` and whose standard error is that of the ratio.

        b + (x_t − b·u_t) / ū for the P&L x, the turnover u, its mean ū and b = x̄ / ū (delta method). NaN if nothing was traded.
        """
        cost = self.break_even_bp * BP
        mean = float(self.turnover.mean()) if len(self.turnover) else 0.0
        left = self.before_costs - cost * self.turnover
        return (cost + left / (mean or float("nan"))) / BP


def open_share(prices: PricePanel, scores: FloatArray, first_session: int) -> float:
    """Share of the scored members that have an open in the next session; NaN if there are none.

    scores, first_session: as in `standard_trades`. Scores of the last session of `prices` do not count.
    """
    stop = min(first_session + len(scores), len(prices.sessions) - 1)
    scored = np.isfinite(scores[: stop - first_session]) & prices.member[first_session:stop]
    if not scored.any():
        return float("nan")
    opened = prices.fields.get("open")
    return 0.0 if opened is None else float((opened[first_session + 1 : stop + 1] > 0)[scored].mean())


def first_tradable_entry(share: float) -> Entry:
    """The next open if this share of the scored members have one, else the next close. share: from `open_share`."""
    return "next_open" if share >= STANDARD_PORTFOLIO.min_open_share else "next_close"


def standard_rules(n_tickers: int, entry: Entry) -> BacktestConfig:
    """Config of the standard portfolio in a universe of `n_tickers`."""
    rules = STANDARD_PORTFOLIO
    return BacktestConfig(
        sizing="top_bottom",
        names_a_side=rules.names_a_side(n_tickers),
        entry=entry,
        commission_bp=rules.commission_bp,
        half_spread_bp=rules.half_spread_bp,
        borrow_bp_a_year=rules.borrow_bp_a_year,
        impact="none",
    )


def standard_trades(prices: PricePanel, scores: FloatArray, *, first_session: int, horizon: int) -> StandardTrades:
    """Standard portfolio of `scores`, from the session after the first score to the session after the last.

    scores: (n_scored, n_tickers), of consecutive sessions; any score that ranks a session's tickers, NaN where there is
    none. first_session: index in `prices` of the first scored session. horizon: holding period in sessions.
    """
    stop = first_session + len(scores)
    traded = prices.up_to(stop + 1)
    entry = first_tradable_entry(open_share(prices, scores, first_session))
    rules = standard_rules(int(prices.member[first_session:stop].sum(axis=1).max(initial=0)), entry)
    targets = np.zeros(traded.member.shape)
    targets[first_session:stop] = target_weights(scores, prices.member[first_session:stop], rules)
    found = run_backtest(traded, targets, rules, horizon=horizon)
    earning = slice(first_session + 1, None)
    return StandardTrades(
        entry=entry,
        daily=DailyPnl(traded.sessions[earning], found.net[earning]),
        before_costs=(found.gross - found.costs.borrow)[earning],
        turnover=found.holdings.turnover[earning],
    )


def standard_pnl(prices: PricePanel, scores: FloatArray, *, first_session: int, horizon: int) -> DailyPnl:
    """P&L of the standard portfolio of `scores`. Arguments as in `standard_trades`."""
    return standard_trades(prices, scores, first_session=first_session, horizon=horizon).daily
