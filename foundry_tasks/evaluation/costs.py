"""Costs of trading: commission, half the spread, market impact, and the fee for borrowed shares.

Impact as a fraction of a trade's value, with q = trade / daily volume of the ticker: `square_root`: σ·√q, σ the daily
volatility (Torre 1997; Tóth et al. 2011, coefficient 1); `volume_share`: 0.1·q², as in Zipline's VolumeShareSlippage.
Volatility and volume are computed over the IMPACT_SESSIONS sessions before the trade.
"""

from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.evaluation.performance import SESSIONS_PER_YEAR

BP = 1e-4
IMPACT_SESSIONS = 20
"""Sessions before a trade over which its volatility and volume are computed; at least 16 of them must be known."""
VOLUME_SHARE_COEFFICIENT = 0.1


@dataclass(frozen=True)
class Costs:
    """Costs, decimals of the capital.

    commission, spread, impact, borrow: (n_sessions,). per_trade: (n_sessions, n_tickers), commission, spread and impact
    of each trade.
    """

    commission: FloatArray
    spread: FloatArray
    impact: FloatArray
    borrow: FloatArray
    per_trade: FloatArray

    @property
    def total(self) -> FloatArray:
        """Sum of the four kinds, (n_sessions,)."""
        return self.commission + self.spread + self.impact + self.borrow


@dataclass(frozen=True)
class ImpactModel:
    """Impact cost = scale · |traded|^exponent, decimals of the capital; scale: (n_sessions, n_tickers), NaN where unknown."""

    scale: FloatArray
    exponent: float

    def cost(self, traded: FloatArray) -> FloatArray:
        """Impact cost of the trades, (n_sessions, n_tickers), decimals of the capital; 0 where nothing is traded."""
        size = np.abs(traded)
        return np.where(size > 0, self.scale * size**self.exponent, 0.0)


def require_volume(prices: PricePanel, config: BacktestConfig) -> None:
    """Raises ConfigError if config.impact needs volume and the prices have none."""
    if config.impact != "none" and "volume" not in prices.fields:
        raise ConfigError(
            f"impact={config.impact} needs volume, and the prices hold none. Set impact=none, or bring prices with volume."
        )


def impact_model(prices: PricePanel, config: BacktestConfig) -> ImpactModel | None:
    """Impact of each session's trades, from data known at the previous close; None for impact=none.

    Raises ConfigError if the prices have no volume.
    """
    require_volume(prices, config)
    if config.impact == "none":
        return None
    from foundry_tasks.features import windows  # noqa: PLC0415 - loads bottleneck

    volume = np.where(prices.fields["volume"] > 0, prices.fields["volume"], np.nan)
    # fraction of the capital × volumes_of_capital = fraction of the daily volume
    volumes_of_capital = config.capital / windows.moving_mean(volume * prices.fields["close"], IMPACT_SESSIONS)
    if config.impact == "volume_share":
        return ImpactModel(windows.lagged(VOLUME_SHARE_COEFFICIENT * volumes_of_capital**2, 1), exponent=3.0)
    close = np.asarray(prices.adjusted_close, dtype=np.float64)
    volatility = windows.moving_std(close / windows.lagged(close, 1) - 1, IMPACT_SESSIONS)
    return ImpactModel(windows.lagged(volatility * np.sqrt(volumes_of_capital), 1), exponent=1.5)


def charge(traded: FloatArray, positions: FloatArray, impact: ImpactModel | None, config: BacktestConfig) -> Costs:
    """Costs of trades and of short positions held overnight.

    traded, positions: (n_sessions, n_tickers), as in `Holdings`. A session's borrow fee is for the short positions of
    the previous close.
    """
    size = np.abs(traded)
    turnover = size.sum(axis=1)
    per_trade = size * ((config.commission_bp + config.half_spread_bp) * BP)
    impact_cost = np.zeros(len(traded))
    if impact is not None:
        moved = impact.cost(traded)
        impact_cost = moved.sum(axis=1)
        per_trade = per_trade + moved
    borrow = np.zeros(len(traded))
    borrow[1:] = -np.minimum(positions[:-1], 0.0).sum(axis=1) * config.borrow_bp_a_year * BP / SESSIONS_PER_YEAR
    return Costs(
        commission=turnover * config.commission_bp * BP,
        spread=turnover * config.half_spread_bp * BP,
        impact=impact_cost,
        borrow=borrow,
        per_trade=per_trade,
    )
