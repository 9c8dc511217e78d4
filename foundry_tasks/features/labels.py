"""Forward returns and the labels computed from them: targets of models and of their evaluation.

`up`: y = 1[price(t + h) / price(t) > 1]. `median`: 1 if the return is above the session's median. `sector`: 1 if it is above
the session's median of the ticker's sector. A row has a label only if the ticker was a member at t and has both prices.

`size` = |return| / session mean of |return|. `volatility` = log(realised volatility) − its session mean. The size of a move
is easier to forecast than its direction; networks learn both as auxiliary tasks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import LabelEntry
from foundry_tasks.data.panel import BoolArray, FloatArray, PricePanel
from foundry_tasks.data.sectors import UNKNOWN

MIN_GROUP = 3
"""With fewer known returns in a session or a sector, its median and mean are NaN."""
LEAST_MOVE = 1e-4
"""Lower bound of a move, one basis point, so that logarithms and ratios stay finite."""


def label_span(horizon: int, entry: LabelEntry) -> int:
    """Number of sessions after t that a label uses: h for entry `close`, else h + 1. Purges have to cover it."""
    return horizon if entry == "close" else horizon + 1


def forward_returns(prices: PricePanel, horizon: int, entry: LabelEntry) -> FloatArray:
    """(n_sessions, n_tickers): return of holding `horizon` sessions from the entry after session t, decimal.

    NaN in the last `label_span` sessions, outside membership, without both prices and across a break. Entry `close` is the
    close of t; `next_open` and `next_close` are those of t + 1. The exit is at the same time of day as the entry.

    >>> days, close = np.arange("2024-01-02", "2024-01-05", dtype="datetime64[D]"), np.array([[10.0], [11.0], [12.1]])
    >>> prices = PricePanel(days, ("A",), {"close": close}, member=close > 0, sectors=("",))
    >>> forward_returns(prices, 1, "close").round(4).tolist()
    [[0.1], [0.1], [nan]]
    """
    return np.where(prices.member, _held(prices, horizon, entry), np.nan)


def realised_volatility(prices: PricePanel, horizon: int, entry: LabelEntry) -> FloatArray:
    """(n_sessions, n_tickers): root mean square of the one-session returns within a forward return, decimal.

    For a horizon of 1 it is |return|. Entry and NaN as in `forward_returns`; also NaN if a price in between is missing.
    """
    squares = _held(prices, 1, entry) ** 2
    result = np.full(squares.shape, np.nan)
    n_windows = max(len(squares) - horizon + 1, 0)
    result[:n_windows] = np.sqrt(sum(squares[day : day + n_windows] for day in range(horizon)) / horizon)
    return np.where(prices.member, result, np.nan)


def _held(prices: PricePanel, horizon: int, entry: LabelEntry) -> FloatArray:
    """Forward returns of all tickers, members or not; all NaN without the entry's price."""
    price = prices.adjusted("open") if entry == "next_open" else prices.adjusted_close
    result = np.full(prices.member.shape, np.nan)
    if price is None:
        return result
    lag = 0 if entry == "close" else 1
    n_sessions = len(price) - horizon - lag
    if n_sessions > 0:
        result[:n_sessions] = price[lag + horizon :] / price[lag : lag + n_sessions] - 1
        if prices.breaks is not None:
            so_far = np.cumsum(prices.breaks, axis=0)
            result[:n_sessions][so_far[lag + horizon :] > so_far[lag : lag + n_sessions]] = np.nan
    return result


@dataclass(frozen=True)
class Labels:
    """Labels of one horizon, each (n_sessions, n_tickers), NaN without a label.

    forward_return: decimal. up, median, sector: 0 or 1; without sectors `sector` equals `median`. size: float32, session
    mean around 1. volatility: float32, session mean around 0.
    """

    forward_return: FloatArray
    up: FloatArray
    median: FloatArray
    sector: FloatArray
    size: FloatArray
    volatility: FloatArray


def build_labels(prices: PricePanel, horizon: int, entry: LabelEntry = "close") -> Labels:
    """All labels of one horizon, each (n_sessions, n_tickers), NaN without a forward return.

    horizon: in sessions. entry: as in `forward_returns`.

    >>> close = np.array([[10.0, 10.0, 10.0], [11.0, 10.5, 9.0]])
    >>> days, names = np.array(["2024-01-02", "2024-01-03"], dtype="datetime64[D]"), ("A", "B", "C")
    >>> labels = build_labels(PricePanel(days, names, {"close": close}, member=close > 0, sectors=("",) * 3), horizon=1)
    >>> labels.up[0].tolist(), labels.median[0].tolist()
    ([1.0, 1.0, 0.0], [1.0, 0.0, 0.0])
    """
    returns = forward_returns(prices, horizon, entry)
    median = above(returns, _by_session(np.nanmedian, returns))
    sector = median
    groups = list(_sectors(prices))
    if groups:
        sector = np.full_like(returns, np.nan)
        for columns, inside in groups:
            own = np.where(inside, returns[:, columns], np.nan)
            found = above(own, _by_session(np.nanmedian, own))
            sector[:, columns] = np.where(inside, found, sector[:, columns])
        sector = np.where(np.isfinite(sector), sector, median)
    move = np.abs(returns)
    size = move / np.maximum(_by_session(np.nanmean, move), LEAST_MOVE)
    logarithm = np.log(np.maximum(realised_volatility(prices, horizon, entry), LEAST_MOVE))
    volatility = logarithm - _by_session(np.nanmean, logarithm)
    return Labels(returns, above(returns, 0.0), median, sector, size.astype(np.float32), volatility.astype(np.float32))


def _sectors(prices: PricePanel) -> Iterator[tuple[BoolArray, BoolArray | bool]]:
    """For each known sector: mask of its columns, (n_tickers,), and mask of its cells in them, (n_sessions, n), or True."""
    dated = prices.dated_sectors
    if dated is None:
        for name in sorted(set(prices.sectors) - {UNKNOWN}):
            yield np.array([item == name for item in prices.sectors]), True
        return
    for number, name in enumerate(dated.names):
        cells = dated.code == number
        columns = cells.any(axis=0)
        if name != UNKNOWN and columns.any():
            yield columns, cells[:, columns]


def above(returns: FloatArray, level: FloatArray | float) -> FloatArray:
    """(n_sessions, n_tickers): 1 if the return is above the level, 0 if not, NaN if either is unknown.

    returns: (n_sessions, n_tickers). level: one number, or (n_sessions, 1).
    """
    with np.errstate(invalid="ignore"):
        above = (returns > level).astype(np.float64)
    return np.where(np.isfinite(returns) & np.isfinite(level), above, np.nan)


def _by_session(middle: Callable[..., FloatArray], values: FloatArray) -> FloatArray:
    """(n_sessions, 1): median or mean of each session; NaN with fewer than MIN_GROUP known values."""
    enough = np.isfinite(values).sum(axis=1) >= MIN_GROUP
    found = np.full(len(values), np.nan)
    if enough.any():
        found[enough] = middle(values[enough], axis=1)
    return found[:, None]
