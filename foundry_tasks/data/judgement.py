"""One verdict a bar: the tidy frame with what expectations ask of it, and which bars are set aside for which reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from foundry_tasks.data import defects
from foundry_tasks.data.defects import IntArray
from foundry_tasks.data.panel import PRICE_FIELDS, BoolArray, DateArray, FloatArray
from foundry_tasks.data.universe import first_to_last_bar

MAX_ZERO_VOLUME = 0.5
"""With more untraded bars than this share, the source has no volume worth the name."""

REASONS = (
    "not a session",
    "no close",
    "outside its low and high",
    "volume of zero",
    "reverted the next session",
    "before an unadjusted split or spin-off",
    "single price throughout",
    "close unchanged too long",
    "move beyond the limit",
)
"""Why a bar is set aside; the first that holds is named."""


@dataclass(frozen=True)
class Bars:
    """A tidy frame sorted by ticker and date, without identical duplicates.

    tickers: sorted names. ticker: (n_bars,) codes into them. day: (n_bars,) dates. session: (n_bars,) index into the
    calendar's sessions, -1 off the calendar. fields: name → (n_bars,) float64. price: what returns are made of.
    """

    tickers: tuple[str, ...]
    ticker: IntArray
    day: DateArray
    session: IntArray
    fields: Mapping[str, FloatArray]
    identical_duplicates: int

    @property
    def price(self) -> FloatArray:
        return self.fields.get("adj_close", self.fields["close"])


def bars_of(table: pd.DataFrame, sessions: DateArray) -> Bars:
    """A tidy frame as arrays. Fields without a single value, and a volume that is mostly zero, are absent."""
    codes, names = pd.factorize(table["ticker"], sort=True)
    day = table["date"].to_numpy().astype("datetime64[D]")
    key = codes.astype(np.int64) * 100_000 + day.astype(np.int64)
    order = np.argsort(key, kind="stable")
    fields = {name: table[name].to_numpy(np.float64)[order] for name in PRICE_FIELDS if name in table}
    codes, day, key = codes[order], day[order], key[order]
    twin = np.zeros(len(key), bool)
    twin[1:] = key[1:] == key[:-1]
    if twin.any():
        for values in fields.values():
            twin[1:] &= (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
        fields = {name: values[~twin] for name, values in fields.items()}
        codes, day = codes[~twin], day[~twin]
    fields = {name: values for name, values in fields.items() if name == "close" or not np.isnan(values).all()}
    if "volume" in fields and np.mean(fields["volume"] == 0) > MAX_ZERO_VOLUME:
        del fields["volume"]
    at = np.minimum(np.searchsorted(sessions, day), max(len(sessions) - 1, 0))
    session = np.where(sessions[at] == day, at, -1) if len(sessions) else np.full(len(day), -1)
    return Bars(tuple(map(str, names)), codes, day, session, fields, int(twin.sum()))


@dataclass(frozen=True)
class Judged:
    """columns: what the suite asks of each bar, name → (n_bars,). reason: (n_bars,) index into REASONS, -1 where kept."""

    columns: Mapping[str, Any]
    reason: IntArray

    @property
    def kept(self) -> BoolArray:
        kept: BoolArray = self.reason < 0
        return kept


def judge(bars: Bars) -> Judged:
    """Hold every bar against its neighbours; each finding sees only bars that no earlier one has set aside."""
    reason = np.full(len(bars.ticker), -1)

    def mark(name: str, where: BoolArray) -> None:
        reason[where & (reason < 0)] = REASONS.index(name)

    mark("not a session", bars.session < 0)
    mark("no close", ~np.isfinite(bars.fields["close"]) | ~np.isfinite(bars.price))
    outside = defects.outside_range(bars.fields)
    mark("outside its low and high", outside)
    untraded = bars.fields["volume"] == 0 if "volume" in bars.fields else np.zeros(len(reason), bool)
    mark("volume of zero", untraded)

    skipped = _scattered(bars, reason < 0, lambda ticker, at: defects.skipped_sessions(ticker, bars.session[at]), 0)
    bad_tick = _scattered(bars, reason < 0, lambda ticker, at: defects.reverted(ticker, bars.price[at]), False)
    mark("reverted the next session", bad_tick)
    action = _scattered(
        bars,
        reason < 0,
        lambda ticker, at: defects.unadjusted_actions(
            ticker, bars.price[at], {name: values[at] for name, values in bars.fields.items()}
        ),
        False,
    )
    mark("before an unadjusted split or spin-off", defects.before_last(bars.ticker, action))
    single = _scattered(bars, reason < 0, lambda ticker, at: defects.constant(ticker, bars.fields["close"][at]), False)
    mark("single price throughout", single)
    unchanged = _scattered(bars, reason < 0, lambda ticker, at: defects.unchanged(ticker, bars.fields["close"][at]), 0)
    mark("close unchanged too long", unchanged >= defects.STALE_SESSIONS)
    move = _scattered(bars, reason < 0, lambda ticker, at: defects.moves(ticker, bars.price[at]), np.nan)
    mark("move beyond the limit", np.abs(move) > defects.MAX_MOVE)
    columns = {
        "is_session": bars.session >= 0,
        "outside_range": outside,
        "reverted": bad_tick,
        "unadjusted_action": action,
        "single_price": single,
        "unchanged_sessions": unchanged,
        "move": move,
        "skipped_sessions": skipped,
    }
    return Judged(columns, reason)


def coverage(bars: Bars, kept: BoolArray, member: BoolArray | None, n_sessions: int) -> tuple[float, FloatArray]:
    """Share of ticker-sessions that remain: of all, and of each ticker (NaN where it has none to lose).

    Those of a ticker run from its first to its last bar, where it is a member; member: (n_sessions, n_tickers) or None
    where there is no universe file.
    """
    shape = (n_sessions, len(bars.tickers))
    has_bar, remains = np.zeros(shape, bool), np.zeros(shape, bool)
    on = bars.session >= 0
    has_bar[bars.session[on], bars.ticker[on]] = True
    remains[bars.session[kept], bars.ticker[kept]] = True
    expected = first_to_last_bar(has_bar)
    if member is not None:
        expected &= member
    wanted, left = expected.sum(axis=0), (expected & remains).sum(axis=0)
    each = np.where(wanted > 0, left / np.maximum(wanted, 1), np.nan)
    return float(left.sum() / max(int(wanted.sum()), 1)), each


def set_aside(bars: Bars, judged: Judged) -> list[dict[str, Any]]:
    """What was set aside, by name: one entry a reason and ticker, with its bars, first and last date."""
    entries = []
    away = np.flatnonzero(judged.reason >= 0)
    pair = judged.reason[away] * len(bars.tickers) + bars.ticker[away]
    for value in np.unique(pair):
        days = bars.day[away[pair == value]]
        entries.append(
            {
                "reason": REASONS[value // len(bars.tickers)],
                "ticker": bars.tickers[value % len(bars.tickers)],
                "bars": len(days),
                "first": str(days.min()),
                "last": str(days.max()),
            }
        )
    return entries


def _scattered(bars: Bars, among: BoolArray, find: Any, default: Any) -> Any:
    """`find(ticker, at)` over the bars `among` alone, at their places; `default` elsewhere."""
    at = np.flatnonzero(among)
    found = find(bars.ticker[at], at)
    result = np.full(len(among), default, dtype=found.dtype if len(found) else type(default))
    result[at] = found
    return result
