"""Jumps: moves of a close that may not be returns. Each is judged by its own day and by the ten sessions after it.

A large move that its day's range or volume confirms is a return. Any other jump is withheld for up to
`RESOLVED_SESSIONS`. If the level returns within them, the bars between were bad. If not, the jump was an action (a split, a
spin-off, a change of unit), and no return, feature or label spans it. Later bars may withhold an earlier row; they never
change one.

Bars are in long form, sorted by ticker and then by date, as 1-D arrays of one length; moves are differences of logarithms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from foundry_tasks.data.defects import IntArray
from foundry_tasks.data.panel import BoolArray, FloatArray

RESOLVED_SESSIONS = 10
"""A jump whose level has not returned after this many sessions is an action."""
LARGE_MOVE = 0.4
"""A fall by this share of the close, or the rise that reverses it, needs confirmation."""
LARGE_MOVE_OF_CLOSES = 0.6
"""The same with closes alone. They cannot confirm a move, so only very rare moves are judged."""
SMALL_GAP = 0.13
"""An overnight gap of this share without news is an action: a split of 5:4, a spin-off, a special dividend. Of 981 gaps
beyond 15 % (500 tickers, 2000 to 2024), the test takes 4 for actions."""
BASELINE_BARS = 20
"""A day's volume and range are compared with the median of this many bars before it."""
MAX_TERM = 5
"""Largest smaller term of a ratio that `ratio_of` prints as a ratio."""
COMMON_STEP = 0.05
"""A median move beyond this, shared by all tickers, is a change of scale."""
COMMON_STEP_OF_FEW = 0.15
"""The same with fewer than `MANY_TICKERS`, which may share a move by chance."""
MANY_TICKERS = 30

_SCALE_CHANGE = np.log(8)
"""Moves beyond this are never confirmed: pence and pounds, 1:10, 1:20, 1:100."""
_CONFIRMING_RANGE = 1 / 4
_CONFIRMING_VOLUME = 5.0
_QUIET_RANGE = 3.0
_QUIET_VOLUME = 2.0
_SHARED = 1 / 3
_RATIO_TOLERANCE = 0.015
_NAMED_TOLERANCE = 0.02
_RETURNED = 1 / 3
_STEP_BACK = 1 / 2
_MIN_BASELINE = 5
_MIN_TICKERS = 4
_COMMON_DEVIATIONS = 8.0


@dataclass(frozen=True)
class Jumps:
    """The verdicts, each a mask (n_bars,).

    action: first bar after an action; a return that spans it is unknown. bad: bars between a jump and its return.
    withheld: bars of the sessions before an action is recognised. confirmed: large moves that are returns.
    """

    action: BoolArray
    bad: BoolArray
    withheld: BoolArray
    confirmed: BoolArray


def find_jumps(
    ticker: IntArray,
    session: IntArray,
    move: FloatArray,
    price: FloatArray,
    fields: Mapping[str, FloatArray],
    known: BoolArray,
) -> Jumps:
    """Judge every bar's move since its ticker's previous bar.

    ticker, session: (n_bars,) codes and session indices. move: (n_bars,) from `log_moves`. price: (n_bars,) prices of
    returns. fields: any of open, high, low, close, volume, each (n_bars,). known: (n_bars,) bars that are not judged.
    """
    suspect, confirmed = _suspects(ticker, session, move, fields)
    suspect &= ~known
    action, bad, withheld = _resolved(ticker, session, np.log(price), suspect)
    return Jumps(action, bad, withheld, confirmed & ~bad)


def log_moves(ticker: IntArray, price: FloatArray) -> FloatArray:
    """(n_bars,) log(price / the ticker's previous price); NaN at a ticker's first bar. ticker, price: (n_bars,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.log(price)
    move = np.full(len(price), np.nan)
    move[1:] = np.where(ticker[1:] == ticker[:-1], level[1:] - level[:-1], np.nan)
    return move


def common_steps(session: IntArray, move: FloatArray) -> FloatArray:
    """(n_bars,) factor that most tickers share as their move of the session; 1 on a session without a common step.

    Test: |median move| > 8 times the median deviation from it. On the worst sessions since 2000 the median move is 4 times
    that deviation. Where two files with different scales meet, the deviation is that of an ordinary session.

    session, move: (n_bars,); moves as from `log_moves`.
    """
    factor = np.ones(len(move))
    known = np.isfinite(move)
    n_sessions = int(session.max(initial=-1)) + 1
    large = np.bincount(session[known & (np.abs(move) > COMMON_STEP)], minlength=n_sessions)
    count = np.bincount(session[known], minlength=n_sessions)
    for at in np.flatnonzero((count >= _MIN_TICKERS) & (2 * large > count)):
        moves = move[known & (session == at)]
        middle = np.median(moves)
        least = COMMON_STEP if len(moves) >= MANY_TICKERS else COMMON_STEP_OF_FEW
        if abs(middle) > max(least, _COMMON_DEVIATIONS * np.median(np.abs(moves - middle))):
            factor[session == at] = np.exp(middle)
    return factor


def ratio_of(move: float) -> str:
    """A log move as the simplest split ratio near it, such as 3:2 for a fall by a third; a factor if none is near.

    >>> ratio_of(np.log(1 / 2)), ratio_of(np.log(20))
    ('2:1', '1:20')
    """
    factor = float(np.exp(abs(move)))
    for small in range(1, MAX_TERM + 1 if factor < 2 * MAX_TERM else 2):
        large = round(factor * small)
        if large > small and abs(np.log(large / small) - abs(move)) <= _NAMED_TOLERANCE:
            return f"{large}:{small}" if move < 0 else f"{small}:{large}"
    return f"{np.exp(move):.3g} times"


# ------------------------------------------------------------------ judgement by the day itself
def _suspects(
    ticker: IntArray, session: IntArray, move: FloatArray, fields: Mapping[str, FloatArray]
) -> tuple[BoolArray, BoolArray]:
    """Masks (n_bars,) of unconfirmed jumps, and of large moves that their day confirms."""
    suspect, confirmed = np.zeros(len(move), bool), np.zeros(len(move), bool)
    if not {"open", "high", "low"} <= set(fields):
        multiple = np.exp(np.abs(move))
        whole = np.maximum(np.rint(np.nan_to_num(multiple)), 2.0)
        exact = (np.abs(multiple / whole - 1) < _RATIO_TOLERANCE) & (multiple > 1 + LARGE_MOVE)
        return exact | (np.abs(move) > -np.log(1 - LARGE_MOVE_OF_CLOSES)), confirmed
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = move + np.log(fields["open"] / fields["close"])
        spread = np.log(fields["high"] / fields["low"])
    large = np.abs(move) > -np.log(1 - LARGE_MOVE)
    quiet = (np.abs(gap) > -np.log(1 - SMALL_GAP)) & (spread < np.abs(gap) * _CONFIRMING_RANGE)
    for at in map(int, np.flatnonzero(large | quiet)):
        first = int(np.searchsorted(ticker, ticker[at]))
        before = slice(max(first, at - BASELINE_BARS), at)
        volume = _volume_ratio(fields, before, at)
        if large[at]:
            # A split multiplies the shares traded, a change of unit the money: news has to raise both.
            by_news = volume >= _CONFIRMING_VOLUME or spread[at] >= abs(move[at]) * _CONFIRMING_RANGE
            confirmed[at] = by_news and abs(move[at]) < _SCALE_CHANGE
            suspect[at] = not confirmed[at]
        if quiet[at] and not suspect[at]:
            alone = abs(_move_of_others(move, session, at)) < abs(gap[at]) * _SHARED
            calm = not spread[at] >= _QUIET_RANGE * _median(spread[before]) and not volume >= _QUIET_VOLUME
            suspect[at] = alone and calm and (np.isfinite(volume) or _is_split(gap[at]))
            confirmed[at] &= not suspect[at]
    return suspect, confirmed


def _median(values: FloatArray) -> float:
    """Median of the known values; NaN with fewer than five."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) >= _MIN_BASELINE else np.nan


def _volume_ratio(fields: Mapping[str, FloatArray], before: slice, at: int) -> float:
    """Volume over its median in the bars `before`, in shares or in money, the smaller of both; NaN if unknown."""
    if "volume" not in fields:
        return np.nan
    volume, close = fields["volume"], fields["close"]
    usual_shares, usual_money = _median(volume[before]), _median(volume[before] * close[before])
    if not (usual_shares > 0 and usual_money > 0):
        return np.nan
    return float(min(volume[at] / usual_shares, volume[at] * close[at] / usual_money))


def _move_of_others(move: FloatArray, session: IntArray, at: int) -> float:
    """Median of the other tickers' moves on the session of bar `at`; 0 without other tickers."""
    moves = move[session == session[at]]
    moves = moves[np.isfinite(moves)]
    return float(np.median(np.delete(moves, np.flatnonzero(moves == move[at])[0]))) if len(moves) > 1 else 0.0


def _is_split(gap: float) -> bool:
    """Whether the gap is near a ratio of whole numbers up to five, or near a whole number."""
    factor = np.exp(abs(gap))
    ratios = [one / other for one in range(1, 6) for other in range(1, one)] + [np.rint(factor)]
    return bool(np.min(np.abs(np.log(ratios) - abs(gap))) < _NAMED_TOLERANCE)


# ------------------------------------------------------------------ judgement by the ten sessions after
def _resolved(
    ticker: IntArray, session: IntArray, level: FloatArray, suspect: BoolArray
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Masks (n_bars,) of actions, bad bars and withheld bars. level: (n_bars,) logarithm of the price."""
    action, bad, withheld = (np.zeros(len(level), bool) for _ in range(3))
    resumed = 0
    for at in np.flatnonzero(suspect):
        if at < resumed:
            continue  # a bad bar, or the return from bad ones
        near = slice(at, at + RESOLVED_SESSIONS + 1)
        within = (ticker[near] == ticker[at]) & (session[near] <= session[at] + RESOLVED_SESSIONS)
        stop = at + int(within.sum())
        jump = level[at] - level[at - 1]
        after = np.arange(at + 1, stop)
        back = np.abs(level[after] - level[at - 1]) < abs(jump) * _RETURNED
        step = (level[after] - level[after - 1]) / -jump
        returns = after[back & (step > _STEP_BACK)]
        if len(returns):
            bad[at : returns[0]] = True
            resumed = int(returns[0]) + 1
            continue
        action[at] = True
        withheld[at:stop] |= session[at:stop] < session[at] + RESOLVED_SESSIONS
    return action, bad, withheld
