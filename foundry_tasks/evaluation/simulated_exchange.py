"""Exchange of a forward simulation: executes orders at a session's prices, charges costs, computes the day's figures."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from math import fsum

import numpy as np

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.evaluation.account import Account, Amounts
from foundry_tasks.evaluation.costs import BP, IMPACT_SESSIONS, VOLUME_SHARE_COEFFICIENT, require_volume
from foundry_tasks.evaluation.performance import SESSIONS_PER_YEAR
from foundry_tasks.evaluation.tranches import HELD, execution_at


@dataclass(frozen=True, slots=True)
class Day:
    """Figures of one session, as in `Backtest`, decimals of the capital; halted, delisted: number of positions."""

    session: str
    net: float
    commission: float
    spread: float
    impact: float
    borrow: float
    turnover: float
    gross_exposure: float
    net_exposure: float
    halted: int
    delisted: int

    @property
    def gross(self) -> float:
        """P&L before costs."""
        return self.net + self.commission + self.spread + self.impact + self.borrow


class SimulatedExchange:
    """Executes an account's orders at a market's prices.

    Raises ConfigError if the prices lack an open or a volume that the config needs.
    """

    def __init__(self, prices: PricePanel, config: BacktestConfig) -> None:
        require_volume(prices, config)
        self._prices, self._config = prices, config
        self._traded_at = execution_at(config.entry, prices).price

    def trade(self, session: int, account: Account, orders: Amounts, known: PricePanel) -> Day:
        """Execute the orders of the previous close and mark the account at this session's close.

        session: index. orders: ticker → weight. known: prices of the sessions before this one, for the impact.
        """
        config = self._config
        close = self._quoted(self._prices.adjusted_close[session])
        impact = _impact(known, config)
        price = {
            ticker: value
            for ticker, value in self._quoted(self._traded_at[session]).items()
            if value > 0 and ticker in close and (impact is None or np.isfinite(impact(ticker, 0.0)))
        }
        before = account.positions()
        opening = account.cash + fsum(before.values())
        delisted = account.pay_out_delisted(close)
        holding_sessions = len(account.tranches)
        traded = account.rebuild(
            session % holding_sessions,
            {ticker: weight * config.capital / holding_sessions for ticker, weight in orders.items()},
            price,
            None if config.max_turnover is None else config.max_turnover * config.capital,
        )
        account.mark(close)
        turnover = fsum(map(abs, traded.values()))
        short = -fsum(min(value, 0.0) for value in before.values())
        costs = {
            "commission": turnover * config.commission_bp * BP,
            "spread": turnover * config.half_spread_bp * BP,
            "impact": fsum(impact(ticker, value) for ticker, value in traded.items()) if impact else 0.0,
            "borrow": short * config.borrow_bp_a_year * BP / SESSIONS_PER_YEAR,
        }
        account.pay(fsum(costs.values()))
        after = account.positions()
        return Day(
            session=str(self._prices.sessions[session]),
            net=(account.cash + fsum(after.values()) - opening) / config.capital,
            **{kind: cost / config.capital for kind, cost in costs.items()},
            turnover=turnover / config.capital,
            gross_exposure=fsum(map(abs, after.values())) / config.capital,
            net_exposure=fsum(after.values()) / config.capital,
            halted=sum(abs(value) > HELD * config.capital for ticker, value in after.items() if ticker not in close),
            delisted=sum(abs(value) > HELD * config.capital for value in delisted.values()),
        )

    def _quoted(self, row: FloatArray) -> Amounts:
        """Ticker → price, without the tickers that have none."""
        known = np.flatnonzero(np.isfinite(row)).tolist()
        return {self._prices.tickers[column]: float(row[column]) for column in known}


def _impact(known: PricePanel, config: BacktestConfig) -> Callable[[str, float], float] | None:
    """Function of ticker and value traded that returns the impact cost, in money; None for impact=none.

    The cost is NaN if volume or volatility are unknown. The formulas of `costs`, implemented again for one session.
    """
    if config.impact == "none":
        return None
    close = known.adjusted_close[-IMPACT_SESSIONS - 1 :]
    shares = known.fields["volume"][-IMPACT_SESSIONS:]
    daily = np.where(shares > 0, shares, np.nan) * known.fields["close"][-IMPACT_SESSIONS:]
    volume = dict(zip(known.tickers, _mean_and_deviation(daily)[0].tolist(), strict=True))
    volatility = dict(zip(known.tickers, _mean_and_deviation(close[1:] / close[:-1] - 1)[1].tolist(), strict=True))

    def cost(ticker: str, value: float) -> float:
        share = abs(value) / volume[ticker]
        moved = (
            VOLUME_SHARE_COEFFICIENT * share**2
            if config.impact == "volume_share"
            else volatility[ticker] * math.sqrt(share)
        )
        return float(abs(value) * moved)

    return cost


def _mean_and_deviation(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation (ddof = 1) of each column.

    NaN where too few values are known; the deviation also where the values are constant.
    """
    known = np.isfinite(values)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / count
        deviation = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / (count - 1))
    enough = count >= 0.8 * IMPACT_SESSIONS
    return np.where(enough, mean, np.nan), np.where(enough & (deviation > 1e-7), deviation, np.nan)
