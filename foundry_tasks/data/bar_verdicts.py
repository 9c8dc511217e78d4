"""Judge every bar: the columns for the expectation suite, and the excluded, withheld and kept bars."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from foundry_tasks.contract.documents.prices import ExcludedBars, LargeMove
from foundry_tasks.data import defects
from foundry_tasks.data.defects import IntArray
from foundry_tasks.data.jumps import Jumps, common_steps, find_jumps, log_moves, ratio_of
from foundry_tasks.data.panel import PRICE_FIELDS, AnyArray, BoolArray, DateArray, FloatArray
from foundry_tasks.data.universe import first_to_last_bar

S = TypeVar("S", bound=np.generic)

MAX_ZERO_VOLUME = 0.5
"""With a larger share of bars without volume, the field volume is dropped."""

RECENT_SESSIONS = 3
"""A session is compared with this many before it, since a single one may lack prices."""

REASONS = (
    "not a session",
    "no close",
    "outside its low and high",
    "volume of zero",
    "between a jump and its return",
    "single price throughout",
    "close unchanged too long",
)
"""Reasons to exclude a bar, in order of precedence."""


@dataclass(frozen=True)
class Bars:
    """A tidy frame sorted by ticker and date, without identical duplicates.

    tickers: sorted names. ticker: (n_bars,) codes into them. day: (n_bars,) dates. session: (n_bars,) index into the
    calendar's sessions, -1 for a day that is not a session. fields: name → (n_bars,) float64. identical_duplicates: number
    of removed duplicates.
    """

    tickers: tuple[str, ...]
    ticker: IntArray
    day: DateArray
    session: IntArray
    fields: Mapping[str, FloatArray]
    identical_duplicates: int

    @property
    def price(self) -> FloatArray:
        """(n_bars,) prices of returns: the adjusted close if the source has it, else the close."""
        return self.fields.get("adj_close", self.fields["close"])

    def up_to(self, session: int) -> "Bars":
        """The bars with a session index ≤ `session`."""
        wanted = self.session <= session
        fields = {name: values[wanted] for name, values in self.fields.items()}
        return replace(
            self, ticker=self.ticker[wanted], day=self.day[wanted], session=self.session[wanted], fields=fields
        )


def bars_of(table: pd.DataFrame, sessions: DateArray, columns: Sequence[str] | None = None) -> Bars:
    """A tidy frame as arrays, on the calendar's sessions (n_sessions,).

    columns: the price fields to keep; None: those with a value, without a volume that is mostly zero.
    """
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
    if columns is None:
        columns = [name for name, values in fields.items() if name == "close" or not np.isnan(values).all()]
        if "volume" in columns and np.mean(fields["volume"] == 0) > MAX_ZERO_VOLUME:
            columns.remove("volume")
    fields = {name: fields[name] for name in columns}
    at = np.minimum(np.searchsorted(sessions, day), max(len(sessions) - 1, 0))
    session = np.where(sessions[at] == day, at, -1) if len(sessions) else np.full(len(day), -1)
    return Bars(tuple(map(str, names)), codes, day, session, fields, int(twin.sum()))


@dataclass(frozen=True)
class Judged:
    """Verdicts on all bars.

    columns: input of the expectation suite, name → (n_bars,). reason: (n_bars,) index into REASONS, -1 for a kept bar. jumps:
    verdicts on jumps, each (n_bars,), on the kept bars and those between a jump and its return. breaks: (n_bars,), first
    bars after an action or a configured redenomination; no return, feature or label spans them. unknown: entries of `keep`
    that match no bar.
    """

    columns: Mapping[str, AnyArray]
    reason: IntArray
    jumps: Jumps
    breaks: BoolArray
    unknown: tuple[str, ...]

    @property
    def kept(self) -> BoolArray:
        """(n_bars,) mask of the bars that are not excluded."""
        kept: BoolArray = self.reason < 0
        return kept


def judge(bars: Bars, keep: Sequence[str] = (), redenominations: Sequence[date] = ()) -> Judged:
    """Apply the rules of REASONS in order. Rules on jumps, single and unchanged closes skip bars excluded before.

    keep: `TICKER` or `TICKER DATE`; these bars are kept against every rule but "not a session" and "no close".
    redenominations: dates on which the currency changed its unit.
    """
    reason = np.full(len(bars.ticker), -1)
    always_kept, unknown = _named(bars, keep)

    def mark(name: str, where: BoolArray) -> None:
        reason[where & (reason < 0) & ~always_kept] = REASONS.index(name)

    reason[bars.session < 0] = REASONS.index("not a session")
    reason[(reason < 0) & ~(np.isfinite(bars.fields["close"]) & np.isfinite(bars.price))] = REASONS.index("no close")
    outside = defects.outside_range(bars.fields)
    mark("outside its low and high", outside)
    untraded = bars.fields["volume"] == 0 if "volume" in bars.fields else np.zeros(len(reason), bool)
    mark("volume of zero", untraded)

    renamed = _first_after(bars, redenominations)
    jumps, step = _jumps(bars, reason < 0, always_kept | renamed)
    mark("between a jump and its return", jumps.bad)
    single = _scattered(bars, reason < 0, lambda ticker, at: defects.constant(ticker, bars.fields["close"][at]))
    mark("single price throughout", single)
    skipped = _scattered(bars, reason < 0, lambda ticker, at: defects.skipped_sessions(ticker, bars.session[at]))
    unchanged = _scattered(bars, reason < 0, lambda ticker, at: defects.unchanged(ticker, bars.fields["close"][at]))
    mark("close unchanged too long", unchanged >= defects.STALE_SESSIONS)
    columns = {
        "is_session": bars.session >= 0,
        "outside_range": outside,
        "bad_jump": jumps.bad,
        "action": jumps.action,
        "large_move": jumps.confirmed,
        "common_step": np.where(renamed, 1.0, step),
        "single_price": single,
        "unchanged_sessions": unchanged,
        "skipped_sessions": skipped,
    }
    return Judged(columns, reason, jumps, jumps.action | renamed, tuple(unknown))


def _jumps(bars: Bars, among: BoolArray, known: BoolArray) -> tuple[Jumps, FloatArray]:
    """Jumps and common steps (n_bars,), found among the bars `among`. known: (n_bars,) bars that are not judged."""
    at = np.flatnonzero(among)
    ticker, session, price = bars.ticker[at], bars.session[at], bars.price[at]
    move = log_moves(ticker, price)
    found = find_jumps(
        ticker, session, move, price, {name: values[at] for name, values in bars.fields.items()}, known[at]
    )
    step = np.ones(len(among))
    step[at] = common_steps(session, move)
    return Jumps(*(_at(at, values, len(among)) for values in vars(found).values())), step


def _at(places: IntArray, values: BoolArray, n_bars: int) -> BoolArray:
    result = np.zeros(n_bars, bool)
    result[places] = values
    return result


def _named(bars: Bars, keep: Sequence[str]) -> tuple[BoolArray, list[str]]:
    """Mask (n_bars,) of the bars that `keep` names, and its entries that match no bar.

    An entry dated before the first bar is not reported: the run may read only later dates.
    """
    named = np.zeros(len(bars.ticker), bool)
    unmatched = []
    codes = {ticker: code for code, ticker in enumerate(bars.tickers)}
    first = str(bars.day.min()) if len(bars.day) else ""
    for entry in keep:
        ticker, _, day = entry.rpartition(" ")
        where = bars.ticker == codes.get(entry, -1)
        if not where.any():
            where = (bars.ticker == codes.get(ticker.strip(), -1)) & (bars.day.astype(str) == day)
        if not where.any() and day >= first:
            unmatched.append(entry)
        named |= where
    return named, unmatched


def _first_after(bars: Bars, redenominations: Sequence[date]) -> BoolArray:
    """Mask (n_bars,): each ticker's first bar on or after each of the dates, if it has an earlier bar."""
    first = np.zeros(len(bars.ticker), bool)
    for day in redenominations:
        later = bars.day >= np.datetime64(day)
        first[1:] |= later[1:] & ~later[:-1] & (bars.ticker[1:] == bars.ticker[:-1])
    return first


def coverage(bars: Bars, kept: BoolArray, member: BoolArray | None, n_sessions: int) -> tuple[float, FloatArray]:
    """Share of expected ticker-sessions with a kept bar: of all, and (n_tickers,) of each ticker (NaN without any).

    Expected are a ticker's sessions of membership from its first to its last bar. kept: (n_bars,). member: (n_sessions,
    n_tickers), or None without a universe file.
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
    return float(left.sum() / max(int(wanted.sum()), 1)) if kept.any() else 0.0, each


def newest_priced(bars: Bars, kept: BoolArray, member: BoolArray | None, n_sessions: int) -> int:
    """Index of the newest session with enough kept bars; -1 if there is none.

    Enough: at least half the members' bars on that session before exclusion, and at least half the largest number of
    members' kept bars on the `RECENT_SESSIONS` before. kept: (n_bars,). member: (n_sessions, n_tickers) or None.
    """
    shape = (n_sessions, len(bars.tickers))
    has_bar, priced = np.zeros(shape, bool), np.zeros(shape, bool)
    on = bars.session >= 0
    has_bar[bars.session[on], bars.ticker[on]] = True
    priced[bars.session[kept], bars.ticker[kept]] = True
    if member is not None:
        has_bar &= member
        priced &= member
    raw, count = has_bar.sum(axis=1), priced.sum(axis=1)
    recently = np.max(
        [np.r_[np.zeros(back, int), count[: n_sessions - back]] for back in range(1, RECENT_SESSIONS + 1)], axis=0
    )
    enough = np.flatnonzero((count > 0) & (2 * count >= recently) & (2 * count >= raw))
    return int(enough[-1]) if len(enough) else -1


def excluded_bars(bars: Bars, judged: Judged) -> tuple[ExcludedBars, ...]:
    """Excluded bars: one entry for each reason and ticker, with the number of bars, first and last date."""
    entries = []
    excluded = np.flatnonzero(judged.reason >= 0)
    pair = judged.reason[excluded] * len(bars.tickers) + bars.ticker[excluded]
    for value in np.unique(pair):
        days = bars.day[excluded[pair == value]]
        entries.append(
            ExcludedBars(
                reason=REASONS[value // len(bars.tickers)],
                ticker=bars.tickers[value % len(bars.tickers)],
                bars=len(days),
                first=days.min().item(),
                last=days.max().item(),
            )
        )
    return tuple(entries)


def events(bars: Bars, judged: Judged) -> tuple[LargeMove, ...]:
    """Verdicts on large moves, sorted by ticker and date, each with the config line that overrules it.

    date: of the move; for bad bars, of the first. until: last date of the bad bars, or of the sessions that an action
    withholds; else the date itself.
    """
    # As in the judgement, a move is measured from the previous judged bar; bars without a close are not judged.
    at = np.flatnonzero((judged.reason < 0) | (judged.reason >= REASONS.index("between a jump and its return")))
    ticker, day, price = bars.ticker[at], bars.day[at], bars.price[at]
    move = log_moves(ticker, price)
    overnight = move + np.log(bars.fields["open"][at] / bars.fields["close"][at]) if "open" in bars.fields else move
    found = []
    for kind, (rule, verdict) in _VERDICTS.items():
        marked = getattr(judged.jumps, kind)[at]
        lasting = {"action": judged.jumps.withheld[at], "bad": marked}.get(kind)
        first = marked.copy()
        if kind == "bad":
            first[1:] &= ~(marked[:-1] & (ticker[1:] == ticker[:-1]))
        for one in map(int, np.flatnonzero(first)):
            name = bars.tickers[ticker[one]]
            known = overnight[one] if np.isfinite(overnight[one]) else move[one]
            event = LargeMove(
                ticker=name,
                date=day[one].item(),
                until=day[one if lasting is None else _last_of(lasting, ticker, one)].item(),
                move=float(np.expm1(move[one])),
                ratio=ratio_of(float(known)) if kind != "confirmed" else "",
                rule=rule,
                verdict=verdict,
                overrule=f'keep = ["{name} {day[one]}"]' if kind != "confirmed" else "",
            )
            found.append(event)
    return tuple(sorted(found, key=lambda event: (event.ticker, event.date)))


def _last_of(marked: BoolArray, ticker: IntArray, first: int) -> int:
    """Index of the last bar of the run of marked bars that begins at bar `first` of a ticker."""
    stop = int(np.searchsorted(ticker, ticker[first], side="right"))
    ends = np.flatnonzero(~marked[first:stop])
    return (first + int(ends[0]) if len(ends) else stop) - 1


_VERDICTS = {
    "action": (
        "a jump that its day does not confirm, and whose level did not return",
        "taken for an unadjusted split, spin-off or change of unit: no return, feature or label reaches across",
    ),
    "bad": (
        "a jump that its day does not confirm, and whose level returned",
        "bad bars until the level returned: excluded",
    ),
    "confirmed": ("a large move that its range or its volume confirms", "kept"),
}


def _scattered(bars: Bars, among: BoolArray, find: Callable[[IntArray, IntArray], npt.NDArray[S]]) -> npt.NDArray[S]:
    """(n_bars,): `find(ticker, at)` over the bars `among` alone; zero elsewhere."""
    at = np.flatnonzero(among)
    found = find(bars.ticker[at], at)
    result = np.zeros(len(among), found.dtype)
    result[at] = found
    return result
