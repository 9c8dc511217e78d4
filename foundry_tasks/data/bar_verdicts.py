"""One verdict a bar: the tidy frame with what expectations ask of it, and what is set aside, withheld or kept by name."""

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
"""With more untraded bars than this share, the source has no volume worth the name."""

RECENT_SESSIONS = 3
"""A session is compared with so many before it: one without prices is no measure of the next."""

REASONS = (
    "not a session",
    "no close",
    "outside its low and high",
    "volume of zero",
    "between a jump and its return",
    "single price throughout",
    "close unchanged too long",
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
        """(n_bars,) what returns are made of: the adjusted close where there is one, else the close."""
        return self.fields.get("adj_close", self.fields["close"])

    def up_to(self, session: int) -> "Bars":
        """The bars of the first sessions, up to this index."""
        wanted = self.session <= session
        fields = {name: values[wanted] for name, values in self.fields.items()}
        return replace(
            self, ticker=self.ticker[wanted], day=self.day[wanted], session=self.session[wanted], fields=fields
        )


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
    """columns: what the suite asks of each bar, name → (n_bars,). reason: (n_bars,) index into REASONS, -1 where kept.

    jumps: of the kept bars and the bad ones between a jump and its return, each (n_bars,). breaks: (n_bars,), first bars
    after what no return, feature or label reaches across: actions, and redenominations that the config names. unknown:
    entries of `keep` that name no bar.
    """

    columns: Mapping[str, AnyArray]
    reason: IntArray
    jumps: Jumps
    breaks: BoolArray
    unknown: tuple[str, ...]

    @property
    def kept(self) -> BoolArray:
        """(n_bars,) bars without a reason against them."""
        kept: BoolArray = self.reason < 0
        return kept


def judge(bars: Bars, keep: Sequence[str] = (), redenominations: Sequence[date] = ()) -> Judged:
    """Hold every bar against its neighbours; each finding sees only bars that no earlier one has set aside.

    keep: `TICKER` or `TICKER DATE`, bars that are right whatever a rule says of them. redenominations: dates on which the
    currency changed its unit.
    """
    reason = np.full(len(bars.ticker), -1)
    right, unknown = _named(bars, keep)

    def mark(name: str, where: BoolArray) -> None:
        reason[where & (reason < 0) & ~right] = REASONS.index(name)

    reason[bars.session < 0] = REASONS.index("not a session")
    reason[(reason < 0) & ~(np.isfinite(bars.fields["close"]) & np.isfinite(bars.price))] = REASONS.index("no close")
    outside = defects.outside_range(bars.fields)
    mark("outside its low and high", outside)
    untraded = bars.fields["volume"] == 0 if "volume" in bars.fields else np.zeros(len(reason), bool)
    mark("volume of zero", untraded)

    renamed = _first_after(bars, redenominations)
    jumps, step = _jumps(bars, reason < 0, right | renamed)
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
    """Jumps of the bars `among`, at their places, and the common step of their sessions."""
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
    """The bars that `keep` names, and its entries that name none."""
    right = np.zeros(len(bars.ticker), bool)
    nothing = []
    codes = {ticker: code for code, ticker in enumerate(bars.tickers)}
    first = str(bars.day.min()) if len(bars.day) else ""
    for entry in keep:
        ticker, _, day = entry.rpartition(" ")
        where = bars.ticker == codes.get(entry, -1)
        if not where.any():
            where = (bars.ticker == codes.get(ticker.strip(), -1)) & (bars.day.astype(str) == day)
        if not where.any() and day >= first:
            nothing.append(entry)
        right |= where
    return right, nothing


def _first_after(bars: Bars, redenominations: Sequence[date]) -> BoolArray:
    """Each ticker's first bar on or after each of the dates, where it has one before."""
    first = np.zeros(len(bars.ticker), bool)
    for day in redenominations:
        later = bars.day >= np.datetime64(day)
        first[1:] |= later[1:] & ~later[:-1] & (bars.ticker[1:] == bars.ticker[:-1])
    return first


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
    return float(left.sum() / max(int(wanted.sum()), 1)) if kept.any() else 0.0, each


def newest_priced(bars: Bars, kept: BoolArray, member: BoolArray | None, n_sessions: int) -> int:
    """Index of the newest session on which at least half of those who should have a kept bar have one; -1 where there is none.

    Who should: as many members as had one on any of the `RECENT_SESSIONS` before, and those who have any bar at all.
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
    """What was excluded, by name: one entry a reason and ticker, with its bars, first and last date."""
    entries = []
    away = np.flatnonzero(judged.reason >= 0)
    pair = judged.reason[away] * len(bars.tickers) + bars.ticker[away]
    for value in np.unique(pair):
        days = bars.day[away[pair == value]]
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
    """What was judged of large moves, by name, one entry a move: ticker, date, move, what was made of it, how to overrule.

    until: the last date of the bad bars, or of the sessions that an action withholds. Of bad bars the first is told.
    """
    # A move is taken from the bar before that was judged, as the judgement took it: not from one without a close.
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
    """The last bar of the marked ones of its ticker that begin with `first`."""
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
        "bad bars until the level returned: set aside",
    ),
    "confirmed": ("a large move that its range or its volume confirms", "kept"),
}


def _scattered(bars: Bars, among: BoolArray, find: Callable[[IntArray, IntArray], npt.NDArray[S]]) -> npt.NDArray[S]:
    """`find(ticker, at)` over the bars `among` alone, at their places; zero elsewhere."""
    at = np.flatnonzero(among)
    found = find(bars.ticker[at], at)
    result = np.zeros(len(among), found.dtype)
    result[at] = found
    return result
