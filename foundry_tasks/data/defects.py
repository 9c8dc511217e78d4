"""What is wrong with daily bars, found by pure functions: bad bars, untraded and stale ones, unadjusted splits.

All of them look at bars in long form, sorted by ticker and then by date, as 1-D arrays of one length: `ticker` holds
integer codes. A finding is a mask or a number per bar; what is done about it is `set_aside`'s business.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import BoolArray, FloatArray

IntArray = npt.NDArray[np.integer]

MAX_MOVE = 0.6
"""A close further than this from the one before, as a share of it, is set aside as a likely error."""
STALE_SESSIONS = 10
"""A close that stays the same for this many sessions is no price any more."""
CONSTANT_BARS = 20
"""A ticker with at least this many bars and a single close is no price series."""
JUMP = 0.4
"""Share of the price that an unadjusted action takes overnight; smaller ones cannot be told from news."""
_RANGE_TOLERANCE = 1e-6
_QUIET_DAY = 0.12
_QUIET_BODY = 0.09
_NEWS_VOLUME = 10.0
_SPLIT_TOLERANCE = 0.015
_REVERTED = 0.03
_VOLUME_BARS = 20


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


def moves(ticker: IntArray, price: FloatArray) -> FloatArray:
    """Simple return to each bar from the ticker's bar before; NaN at a ticker's first."""
    result = np.full(len(price), np.nan)
    same = ticker[1:] == ticker[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        result[1:][same] = (price[1:] / price[:-1] - 1)[same]
    return result


def reverted(ticker: IntArray, price: FloatArray) -> BoolArray:
    """Bad ticks: bars that jump by more than `JUMP` and whose successor is back where the predecessor was."""
    move = moves(ticker, price)
    bad = np.zeros(len(price), bool)
    if len(price) < 3:
        return bad
    inside = (ticker[2:] == ticker[1:-1]) & (ticker[1:-1] == ticker[:-2])
    with np.errstate(divide="ignore", invalid="ignore"):
        back = np.abs(price[2:] / price[:-2] - 1) < _REVERTED
        log_move = np.abs(np.log1p(move[1:-1]))
    bad[1:-1] = inside & back & (log_move > np.log(1 + JUMP))
    return bad


def unadjusted_actions(ticker: IntArray, price: FloatArray, fields: Mapping[str, FloatArray]) -> BoolArray:
    """First bars after what looks like an unadjusted split, spin-off or share distribution.

    With open, high and low: the price falls by `JUMP` or more overnight, the day itself is quiet, and the volume is not
    that of news. Rising, or with closes alone, the ratio has to be that of a split, such as 1:2 or 10:1, within 1.5 %.
    """
    move = moves(ticker, price)
    with np.errstate(divide="ignore", invalid="ignore"):
        falls = move <= -JUMP
        multiple = np.where(move < 0, 1 / (1 + move), 1 + move)
        nearest = np.maximum(np.rint(multiple), 2.0)
        exact = (np.abs(multiple / nearest - 1) < _SPLIT_TOLERANCE) & (multiple > 1 + JUMP)
        if not {"open", "high", "low"} <= set(fields):
            return exact
        quiet = (fields["high"] / fields["low"] - 1 < _QUIET_DAY) & (
            np.abs(fields["close"] / fields["open"] - 1) < _QUIET_BODY
        )
    if "volume" in fields:
        quiet &= ~(_volume_ratio(ticker, fields["volume"], falls | exact) >= _NEWS_VOLUME)
    return (falls | exact) & quiet


def unchanged(ticker: IntArray, price: FloatArray) -> IntArray:
    """For how many bars of its ticker the price has been the same, 0 where it has just changed."""
    same = moves(ticker, price) == 0
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


def before_last(ticker: IntArray, mark: BoolArray) -> BoolArray:
    """Bars that lie before their ticker's last marked one."""
    last = np.full(int(ticker.max(initial=-1)) + 1, -1)
    np.maximum.at(last, ticker[mark], np.flatnonzero(mark))
    before: BoolArray = np.arange(len(ticker)) < last[ticker]
    return before


def _volume_ratio(ticker: IntArray, volume: FloatArray, where: BoolArray) -> FloatArray:
    """Volume over the median of up to 20 bars before, at the bars `where`; NaN elsewhere and with fewer than 5 bars."""
    ratio = np.full(len(volume), np.nan)
    for at in np.flatnonzero(where):
        before = slice(max(0, at - _VOLUME_BARS), at)
        past = volume[before][ticker[before] == ticker[at]]
        if len(past) >= 5 and np.median(past) > 0:
            ratio[at] = volume[at] / np.median(past)
    return ratio
