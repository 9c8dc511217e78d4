"""The standard portfolio: one fixed rule to trade any scores, so that their P&L can be compared.

Long the best tenth of the universe, short the worst tenth, at most 50 names a side, held for the model's horizon, with the
default costs of `BacktestConfig`. Tickers that are no members at that session are not bought and do not count. No key of a
run's conf changes it.
"""

from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import BacktestConfig, Entry
from foundry_tasks.data.panel import DateArray, FloatArray, PricePanel
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.performance import sharpe_ratio
from foundry_tasks.evaluation.positions import target_weights

NAMES_A_SIDE = 50
SHARE_A_SIDE = 0.1


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


def standard_rules(prices: PricePanel) -> BacktestConfig:
    """Config of the standard portfolio. Entry: the next open, or the next close if the prices have no open.

    prices: of the scored sessions; the largest number of members in one of them is the size of the universe.
    """
    tenth = int(SHARE_A_SIDE * prices.member.sum(axis=1).max(initial=0))
    entry: Entry = "next_open" if "open" in prices.fields else "next_close"
    return BacktestConfig(names_a_side=max(1, min(NAMES_A_SIDE, tenth)), entry=entry)


def standard_pnl(prices: PricePanel, scores: FloatArray, *, first_session: int, horizon: int) -> DailyPnl:
    """P&L of the standard portfolio of `scores`, from the session after the first score to the session after the last.

    scores: (n_scored, n_tickers), of consecutive sessions; any score that ranks a session's tickers, NaN where there is
    none. first_session: index in `prices` of the first scored session. horizon: holding period in sessions.
    """
    stop = first_session + len(scores)
    traded = prices.up_to(stop + 1)
    rules = standard_rules(prices.part(slice(first_session, stop)))
    targets = np.zeros(traded.member.shape)
    targets[first_session:stop] = target_weights(scores, prices.member[first_session:stop], rules)
    earning = slice(first_session + 1, None)
    return DailyPnl(traded.sessions[earning], run_backtest(traded, targets, rules, horizon=horizon).net[earning])
