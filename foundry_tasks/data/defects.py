"""Detect defects of daily bars: bars outside their range, stale prices, gaps. `jumps` detects jumps.

Bars are in long form, sorted by ticker and then by date, as 1-D arrays of one length; `ticker` holds integer codes. Each
pure function returns a mask or a number per bar; `judgement` decides on the bars.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import BoolArray, FloatArray

IntArray = npt.NDArray[np.integer]

STALE_SESSIONS = 10
"""A close that has not changed for this many bars is stale."""
CONSTANT_BARS = 20
"""A ticker with at least this many bars and a single close is not a price series."""
_RANGE_TOLERANCE = 1e-6


def outside_range(fields: Mapping[str, FloatArray]) -> BoolArray:
    """(n_bars,) mask: high < low, or open or close outside [low, high]. Absent fields are not checked; close is required.

    fields: name → (n_bars,).
    """
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
    """(n_bars,) number of the ticker's bars since the price changed; 0 at a change. ticker, price: (n_bars,)."""
    same = np.zeros(len(price), bool)
    same[1:] = (price[1:] == price[:-1]) & (ticker[1:] == ticker[:-1])
    at = np.arange(len(price))
    last_change = np.maximum.accumulate(np.where(same, 0, at))
    return at - last_change


def constant(ticker: IntArray, price: FloatArray) -> BoolArray:
    """(n_bars,) mask: bars of tickers with at least `CONSTANT_BARS` bars and a single price. ticker, price: (n_bars,)."""
    if not len(price):
        return np.zeros(0, bool)
    starts = np.flatnonzero(np.r_[True, ticker[1:] != ticker[:-1]])
    lengths = np.diff(np.r_[starts, len(price)])
    single = np.minimum.reduceat(price, starts) == np.maximum.reduceat(price, starts)
    return np.repeat(single & (lengths >= CONSTANT_BARS), lengths)


def skipped_sessions(ticker: IntArray, session: IntArray) -> IntArray:
    """(n_bars,) number of sessions between a bar and its ticker's previous bar; 0 at a ticker's first bar.

    ticker: (n_bars,) codes. session: (n_bars,) index of the bar's session.
    """
    result = np.zeros(len(session), np.int64)
    same = ticker[1:] == ticker[:-1]
    result[1:][same] = (np.diff(session) - 1)[same]
    return np.maximum(result, 0)
