"""The standard portfolio: one fixed way to trade whatever scores there are, so that what they earn compares.

The best tenth of the universe bought, the worst tenth sold, at most 50 names a side, held for the model's horizon and
charged the costs of `BacktestConfig`'s defaults. No key of a run's conf moves any of it.
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
    """What a portfolio earned. sessions: (n_sessions,) datetime64[D], ascending. pnl: same shape, decimal, after costs."""

    sessions: DateArray
    pnl: FloatArray

    @property
    def sharpe(self) -> float:
        """Sharpe ratio per session, no √252; 0 for a portfolio that never moved, which is what doing nothing earns."""
        sharpe = sharpe_ratio(self.pnl, periods_per_year=1)
        return sharpe if np.isfinite(sharpe) else 0.0


def standard_rules(prices: PricePanel) -> BacktestConfig:
    """Traded at the next open, at the next close where the prices hold no open."""
    tenth = int(SHARE_A_SIDE * len(prices.tickers))
    entry: Entry = "next_open" if "open" in prices.fields else "next_close"
    return BacktestConfig(names_a_side=max(1, min(NAMES_A_SIDE, tenth)), entry=entry)


def standard_pnl(prices: PricePanel, scores: FloatArray, *, first_session: int, horizon: int) -> DailyPnl:
    """What the standard portfolio earned by `scores`, from the session after the first of them to that after the last.

    scores: (n_scored, n_tickers), any score that ranks a session's tickers, NaN where there is none; of consecutive
    sessions, the first of which is first_session of the prices.
    """
    stop = first_session + len(scores)
    traded = prices.up_to(stop + 1)
    rules = standard_rules(prices)
    targets = np.zeros(traded.member.shape)
    targets[first_session:stop] = target_weights(scores, prices.member[first_session:stop], rules)
    earning = slice(first_session + 1, None)
    return DailyPnl(traded.sessions[earning], run_backtest(traded, targets, rules, horizon=horizon).net[earning])
