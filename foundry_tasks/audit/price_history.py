"""The audit of prices: are bars, membership and market series of a session those that the source gave then?

The panel is made again from the source cut at some sessions and compared with the published one up to there. Each function
returns its findings, one text per leak.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import bottleneck as bn
import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import BoolArray, DateArray, FloatArray, PanelThen, PricePanel

SCALE_TOLERANCE = 1e-9
"""Adjusted closes and market series may differ from those of then by a constant; ratios are compared within this."""
CUTS = {"excluded": 2, "ended": 1, "joined": 1}
"""What a cut may show → number of such cuts. One further cut is drawn from all sessions of the second half."""
LEADS_BY = 4.0
"""Standard errors by which a series' correlation with the market's next session must exceed that with its own."""
_NAMED = 3

Grid = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
"""Rows and columns of a panel."""


def drawn_cuts(
    n_sessions: int, telling: Mapping[str, npt.NDArray[np.integer]], rng: np.random.Generator
) -> tuple[int, ...]:
    """Session indices of the cuts, ascending. telling: what a cut may show → the sessions where it would."""
    cuts = {int(rng.integers(n_sessions // 2, n_sessions - 1))}
    for name, number in CUTS.items():
        sessions = telling[name][(telling[name] > 0) & (telling[name] < n_sessions - 1)]
        cuts |= set(map(int, rng.choice(sessions, min(number, len(sessions)), replace=False)))
    return tuple(sorted(cuts))


def audit_prices(published: PricePanel, panel_at: Callable[[int], PanelThen], cuts: Sequence[int]) -> tuple[str, ...]:
    """Make the panel again from the source cut at each of `cuts`; up to there it must be the published one.

    panel_at: session index of the source → its panel then. Adjusted closes, benchmark and VIX may differ by a constant.
    """
    found: list[str] = []
    for at in cuts:
        found += _Comparison.of(published, panel_at(at)).findings()
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class _Comparison:
    """The published panel beside the panel of then, on the sessions and tickers of both.

    now, past: rows and columns of these in each panel. decided: (n_rows, n_columns). missing: tickers of then that are not
    published. hindsight: (n_sessions, n_tickers) of the published panel, live cells up to then that the panel of then lacks.
    """

    published: PricePanel
    then: PricePanel
    now: Grid
    past: Grid
    decided: BoolArray
    missing: tuple[str, ...]
    hindsight: BoolArray

    @classmethod
    def of(cls, published: PricePanel, known: PanelThen) -> "_Comparison":
        then = known.panel
        _, *rows = np.intersect1d(published.sessions, then.sessions, return_indices=True)
        column = {ticker: index for index, ticker in enumerate(published.tickers)}
        kept = [at for at, ticker in enumerate(then.tickers) if ticker in column and ticker not in known.without]
        now = (rows[0], np.array([column[then.tickers[at]] for at in kept], np.intp))
        past = (rows[1], np.array(kept, np.intp))
        decided = ~known.undecided[np.ix_(*past)]
        live = np.flatnonzero((then.live & ~known.undecided).any(axis=0))
        missing = tuple(
            then.tickers[at] for at in live if then.tickers[at] not in column and then.tickers[at] not in known.without
        )
        hindsight = published.live.copy()
        hindsight[published.sessions > (then.sessions[-1] if len(then.sessions) else published.sessions[0])] = False
        hindsight[:, [ticker in known.without for ticker in published.tickers]] = False
        hindsight[np.ix_(*now)] &= ~(then.live[np.ix_(*past)] & decided)
        return cls(published, then, now, past, decided, missing, hindsight)

    def findings(self) -> list[str]:
        """One text per leak."""
        when = f"once the source ends at {self.then.sessions[-1]}" if len(self.then.sessions) else ""
        found = []
        if self.missing:
            found.append(f"prices: {_some(self.missing)} had prices and are left out, as is seen {when}")
        if self.hindsight.any():
            found.append(f"prices: {self._where(self.hindsight)} is a member with a price, and is not {when}")
        now, then = self._live(self.published, self.now), self._live(self.then, self.past)
        lost = self._spread(then & ~now & self.decided)
        if lost.any():
            found.append(f"prices: {self._where(lost)} is no member with a price, and is one {when}")
        found += [f"prices: {what} {when}" for what in self._changed()]
        return found

    def _live(self, panel: PricePanel, grid: Grid) -> BoolArray:
        live: BoolArray = panel.live[np.ix_(*grid)]
        return live

    def _changed(self) -> list[str]:
        """Values that differ: fields, breaks, sectors, benchmark and VIX."""
        found = []
        for name in self.published.fields:
            now, then = self.published.fields[name][np.ix_(*self.now)], self.then.fields[name][np.ix_(*self.past)]
            same = _same_but_for_scale(now, then, self.decided) if name == "adj_close" else _same(now, then)
            if (~same & self.decided).any():
                found.append(f"{name} of {self._where(self._spread(~same & self.decided))} differs")
        broken, then_broken = (
            np.zeros(self.decided.shape, bool) if panel.breaks is None else panel.breaks[np.ix_(*grid)]
            for panel, grid in ((self.published, self.now), (self.then, self.past))
        )  # fmt: skip
        if ((broken != then_broken) & self.decided).any():
            found.append(f"a break of {self._where(self._spread((broken != then_broken) & self.decided))} differs")
        other_sector = (_sectors(self.published, self.now) != _sectors(self.then, self.past)) & self.decided
        if other_sector.any():
            found.append(f"the sector of {self._where(self._spread(other_sector))} differs")
        for name in ("benchmark", "vix"):
            now_series, then_series = (
                None if values is None else values[rows][:, None]
                for values, rows in ((_series(self.published, name), self.now[0]), (_series(self.then, name), self.past[0]))
            )  # fmt: skip
            if then_series is None or now_series is None:
                continue
            same = _same_but_for_scale(now_series, then_series, np.ones(now_series.shape, bool))
            if not same.all():
                found.append(
                    f"{name} of {self.published.sessions[self.now[0]][np.flatnonzero(~same[:, 0])[0]]} differs"
                )
        return found

    def _spread(self, cells: BoolArray) -> BoolArray:
        """Cells of the comparison on the grid of the published panel."""
        result = np.zeros(self.published.member.shape, bool)
        result[np.ix_(*self.now)] = cells
        return result

    def _where(self, cells: BoolArray) -> str:
        """The first of these cells, and the number of tickers with such."""
        session, ticker = (int(index[0]) for index in np.nonzero(cells))
        others = int(cells.any(axis=0).sum()) - 1
        more = f" (and {others} other tickers)" if others else ""
        return f"{self.published.tickers[ticker]} on {self.published.sessions[session]}{more}"


def audit_membership(
    published: PricePanel, tickers: Sequence[str], starts: DateArray, ends: DateArray
) -> tuple[str, ...]:
    """No ticker is a member outside its intervals of the universe file.

    tickers: one an interval, as the prices spell it. starts, ends: (n_intervals,), both included.
    """
    column = {ticker: index for index, ticker in enumerate(published.tickers)}
    outside = published.member.copy()
    for ticker, start, end in zip(tickers, starts, ends, strict=True):
        if ticker in column:
            outside[(published.sessions >= start) & (published.sessions <= end), column[ticker]] = False
    if not outside.any():
        return ()
    named = [published.tickers[at] for at in np.flatnonzero(outside.any(axis=0))]
    return (f"prices: {_some(named)} count as members outside the dates of the universe file",)


def audit_alignment(published: PricePanel) -> tuple[str, ...]:
    """A series that moves with the market's next session more than with its own is dated a session early.

    Correlations of daily changes with the mean return of the members; for the VIX, of their sizes.
    """
    returns = np.where(published.live, published.returns, np.nan)
    known = np.isfinite(returns)
    market = np.where(known, returns, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    found = []
    for name in ("benchmark", "vix"):
        series = _series(published, name)
        if series is None or len(series) < 3:
            continue
        change = np.full(len(series), np.nan)
        change[1:] = np.log(series[1:] / series[:-1])
        usable = np.isfinite(change[:-1]) & (known.sum(axis=1) > 0)[:-1] & (known.sum(axis=1) > 0)[1:]
        own, following = (abs(_correlation(change[:-1][usable], one[usable])) for one in (market[:-1], market[1:]))
        if following - own > LEADS_BY / np.sqrt(max(int(usable.sum()), 1)):
            found.append(
                f"prices: {name} moves with the market's next session (correlation {following:.2f}) and not with its own "
                f"({own:.2f}): it is dated a session early"
            )
    return tuple(found)


def _series(panel: PricePanel, name: str) -> FloatArray | None:
    return panel.benchmark if name == "benchmark" else panel.vix


def _sectors(panel: PricePanel, grid: Grid) -> npt.NDArray[np.str_]:
    """The sectors on these rows and columns; a single row where they do not change over time."""
    if panel.dated_sectors is None:
        return np.array(panel.sectors, dtype=str)[grid[1]][None, :]
    return np.array(panel.dated_sectors.names, dtype=str)[panel.dated_sectors.code[np.ix_(*grid)]]


def _correlation(x: FloatArray, y: FloatArray) -> float:
    """Correlation; 0 where one of them is constant."""
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / size if size > 0 else 0.0


def _same(now: FloatArray, then: FloatArray) -> BoolArray:
    same: BoolArray = (now == then) | (np.isnan(now) & np.isnan(then))
    return same


def _same_but_for_scale(now: FloatArray, then: FloatArray, among: BoolArray) -> BoolArray:
    """(n_sessions, n_columns): whether `then` is `now` times a constant of the column. among: cells that are compared."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(among, then / now, np.nan)
    known = np.isfinite(ratio)
    scale = bn.nanmedian(ratio, axis=0)
    same: BoolArray = np.where(known, np.abs(ratio / scale - 1) <= SCALE_TOLERANCE, _same(now, then))
    return same


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
