"""What is wrong with daily bars, found by pure functions: bars outside their range, stale prices, gaps; `jumps` finds jumps.

All of them look at bars in long form, sorted by ticker and then by date, as 1-D arrays of one length: `ticker` holds
integer codes. A finding is a mask or a number per bar; what is done about it is `judgement`'s business.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import BoolArray, FloatArray

IntArray = npt.NDArray[np.integer]

STALE_SESSIONS = 10
"""A close that stays the same for this many sessions is no price any more."""
CONSTANT_BARS = 20
"""A ticker with at least this many bars and a single close is no price series."""
_RANGE_TOLERANCE = 1e-6


def outside_range(fields: Mapping[str, FloatArray]) -> BoolArray:
    """Bars whose high is below their low, or whose open or close lies outside [low, high]; of the fields there are."""
    close = fields["close"]
    wrong = np.zeros(len(close), bool)
    low, high = fields.get("low"), fields.get("high")
    with np.errstate(invalid="ignore"):
        for price in (close, fields.get("open"), high):
            if price is None:
                continue
            if low is not None:
                wrong |= price < low * (1 - _RANGE_TOLERANCE)
            if high is not None:
                wrong |= price > high * (1 + _RANGE_TOLERANCE)
    return wrong


def unchanged(ticker: IntArray, price: FloatArray) -> IntArray:
    """For how many bars of its ticker the price has been the same, 0 where it has just changed."""
    same = np.zeros(len(price), bool)
    same[1:] = (price[1:] == price[:-1]) & (ticker[1:] == ticker[:-1])
    at = np.arange(len(price))
    last_change = np.maximum.accumulate(np.where(same, 0, at))
    return at - last_change


def constant(ticker: IntArray, price: FloatArray) -> BoolArray:
    """Bars of tickers with at least `CONSTANT_BARS` bars and a single price."""
    if not len(price):
        return np.zeros(0, bool)
    starts = np.flatnonzero(np.r_[True, ticker[1:] != ticker[:-1]])
    lengths = np.diff(np.r_[starts, len(price)])
    single = np.minimum.reduceat(price, starts) == np.maximum.reduceat(price, starts)
    return np.repeat(single & (lengths >= CONSTANT_BARS), lengths)


def skipped_sessions(ticker: IntArray, session: IntArray) -> IntArray:
    """Sessions between each bar and its ticker's bar before; 0 at a ticker's first. session: index of the bar's session."""
    result = np.zeros(len(session), np.int64)
    same = ticker[1:] == ticker[:-1]
    result[1:][same] = (np.diff(session) - 1)[same]
    return np.maximum(result, 0)
