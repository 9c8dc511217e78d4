"""What a model learns and is judged by: forward returns and the labels made of them.

`up`: y = 1[price(t + h) / price(t) > 1]. `median`: above that session's median. `sector`: above the median of the
ticker's sector. A row has a label only where the ticker was a member at t and has both prices.
"""

from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import LabelEntry
from foundry_tasks.data.panel import FloatArray, PricePanel

MIN_GROUP = 3
"""Fewer returns than this in a session or a sector have no median worth the name."""


def reach(horizon: int, entry: LabelEntry) -> int:
    """How many sessions after t a label looks; what purges have to cover."""
    return horizon if entry == "close" else horizon + 1


def forward_returns(prices: PricePanel, horizon: int, entry: LabelEntry) -> FloatArray:
    """Return of holding `horizon` sessions from the entry after session t, decimal.

    Shape (n_sessions, n_tickers); NaN in the last `reach` sessions, outside membership and without both prices. Entry
    `close` is the close of t, `next_open` and `next_close` those of t + 1; the exit is at the same time of day.
    """
    price = prices.adjusted("open") if entry == "next_open" else prices.adjusted_close
    result = np.full(prices.member.shape, np.nan)
    if price is None:
        return result
    lag = 0 if entry == "close" else 1
    n_sessions = len(price) - horizon - lag
    if n_sessions > 0:
        result[:n_sessions] = price[lag + horizon :] / price[lag : lag + n_sessions] - 1
    return np.where(prices.member, result, np.nan)


@dataclass(frozen=True)
class Labels:
    """Labels of one horizon, each (n_sessions, n_tickers), 0 or 1, NaN where there is none.

    forward_return is what they are made of; without sectors `sector` equals `median`.
    """

    forward_return: FloatArray
    up: FloatArray
    median: FloatArray
    sector: FloatArray


def build_labels(prices: PricePanel, horizon: int, entry: LabelEntry = "close") -> Labels:
    """All labels of one horizon."""
    returns = forward_returns(prices, horizon, entry)
    median = above(returns, _median(returns))
    sector = median
    names = sorted(set(prices.sectors) - {""})
    if names:
        sector = np.full_like(returns, np.nan)
        for name in names:
            columns = np.array([item == name for item in prices.sectors])
            sector[:, columns] = above(returns[:, columns], _median(returns[:, columns]))
        sector = np.where(np.isfinite(sector), sector, median)
    return Labels(returns, above(returns, 0.0), median, sector)


def above(returns: FloatArray, level: FloatArray | float) -> FloatArray:
    """1 above the level, 0 below or at it, NaN where either is unknown."""
    with np.errstate(invalid="ignore"):
        above = (returns > level).astype(np.float64)
    return np.where(np.isfinite(returns) & np.isfinite(level), above, np.nan)


def _median(returns: FloatArray) -> FloatArray:
    """Median of each session, (n_sessions, 1), NaN where fewer than MIN_GROUP returns are known."""
    enough = np.isfinite(returns).sum(axis=1) >= MIN_GROUP
    median = np.full(len(returns), np.nan)
    if enough.any():
        median[enough] = np.nanmedian(returns[enough], axis=1)
    return median[:, None]
