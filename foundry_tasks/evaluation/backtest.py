"""Vectorised backtest: P&L of target weights that are traded one session after the decision, before and after costs.

Targets of the close of t are traded at the open or the close of t + 1 and earn from that price on. `tranches` defines
holding periods and the treatment of missing prices, `costs` the costs. All figures are decimals of a constant capital.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.data.panel import DateArray, FloatArray, PricePanel
from foundry_tasks.evaluation.costs import Costs, charge, impact_model
from foundry_tasks.evaluation.tranches import Execution, Holdings, execution_at, hold_tranches

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Backtest:
    """Daily figures of one backtest, each (n_sessions,), decimals of the capital, never NaN.

    holdings: positions, trades and P&L before costs. costs: by kind. benchmark: return of the panel's benchmark, or
    buy_and_hold if the panel has none. buy_and_hold: return of the equal-weight universe without costs. Both returns are
    from close to close.
    """

    sessions: DateArray
    tickers: tuple[str, ...]
    execution: Execution
    holdings: Holdings
    costs: Costs
    benchmark: FloatArray
    buy_and_hold: FloatArray

    @property
    def gross(self) -> FloatArray:
        """P&L before costs."""
        return self.holdings.gross

    @property
    def net(self) -> FloatArray:
        """P&L after costs."""
        return self.holdings.gross - self.costs.total

    @property
    def gross_exposure(self) -> FloatArray:
        """Σ |position| at the close: long + short."""
        exposure: FloatArray = np.abs(self.holdings.positions).sum(axis=1)
        return exposure

    @property
    def net_exposure(self) -> FloatArray:
        """Σ position at the close: long − short."""
        exposure: FloatArray = self.holdings.positions.sum(axis=1)
        return exposure

    def trades(self) -> "pd.DataFrame":
        """One row per trade: decided, executed (sessions), ticker, weight_change, price (adjusted), cost (of the capital)."""
        import pandas as pd  # noqa: PLC0415 - only a table of trades needs it

        at, ticker = np.nonzero(self.holdings.traded)
        return pd.DataFrame(
            {
                "decided": self.sessions[at - self.execution.lag],
                "executed": self.sessions[at],
                "ticker": np.asarray(self.tickers, dtype=np.object_)[ticker],
                "weight_change": self.holdings.traded[at, ticker],
                "price": self.execution.price[at, ticker],
                "cost": self.costs.per_trade[at, ticker],
            }
        )


def run_backtest(prices: PricePanel, targets: FloatArray, config: BacktestConfig, *, horizon: int) -> Backtest:
    """Backtest of target weights.

    targets: (n_sessions, n_tickers), from `target_weights`: wanted at each close, decimal of capital. horizon: of the
    model, in sessions; the holding period if config.holding_sessions is not set. A ticker whose impact is unknown is not
    traded. Raises ConfigError if the prices lack an open or a volume that the config needs.

    >>> days, close = np.arange("2024-01-02", "2024-01-05", dtype="datetime64[D]"), np.array([[10.0], [11.0], [12.1]])
    >>> prices = PricePanel(days, ("A",), {"close": close}, member=close > 0, sectors=("",))
    >>> config = BacktestConfig(entry="next_close", commission_bp=0, half_spread_bp=0)
    >>> run_backtest(prices, np.ones((3, 1)), config, horizon=1).net.round(4).tolist()
    [0.0, 0.0, 0.1]
    """
    impact = impact_model(prices, config)
    execution = execution_at(config.entry, prices)
    if impact is not None:
        execution = replace(execution, price=np.where(np.isfinite(impact.scale), execution.price, np.nan))
    holdings = hold_tranches(
        prices,
        targets,
        execution,
        holding_sessions=config.holding_sessions or horizon,
        max_turnover=config.max_turnover,
    )
    costs = charge(holdings.traded, holdings.positions, impact, config)
    buy_and_hold = _universe_returns(prices)
    benchmark = buy_and_hold if prices.benchmark is None else _level_returns(prices.benchmark)
    return Backtest(prices.sessions, prices.tickers, execution, holdings, costs, benchmark, buy_and_hold)


def _universe_returns(prices: PricePanel) -> FloatArray:
    """Mean return of the members at the previous close, (n_sessions,); 0 in the first session and without prices."""
    change = prices.returns[1:]
    known = prices.member[:-1] & np.isfinite(change)
    returns = np.zeros(len(prices.sessions))
    returns[1:] = np.where(known, change, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return returns


def _level_returns(level: FloatArray) -> FloatArray:
    """Returns of a series of levels. A session without a level returns 0; the next known level contains its move."""
    returns = np.zeros(len(level))
    known = np.flatnonzero(np.isfinite(level))
    returns[known[1:]] = level[known[1:]] / level[known[:-1]] - 1
    return returns
