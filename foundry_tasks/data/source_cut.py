"""A market's source cut at a session: what it would have delivered then, and the panel that these rows give.

The rows up to the session, the adjusted closes of that day, the memberships that had begun, benchmark and VIX up to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from foundry_tasks.data.assembly import build_panel
from foundry_tasks.data.bar_verdicts import Judged, bars_of
from foundry_tasks.data.defects import IntArray
from foundry_tasks.data.intake import Intake, take_in
from foundry_tasks.data.jumps import RESOLVED_SESSIONS
from foundry_tasks.data.market_files import aligned
from foundry_tasks.data.panel import BoolArray, DateArray, FloatArray, PanelThen, PricePanel
from foundry_tasks.data.price_source import Series
from foundry_tasks.data.sectors import SectorSpans, known_sectors
from foundry_tasks.data.universe import Universe, universe_index


@dataclass(frozen=True)
class MarketSource:
    """All that a market's panel is made of.

    table: tidy frame, as the source returned it, with tickers as categories. sessions: (n_sessions,) of the calendar, from
    the first row's to the last one's. columns: price fields in use. sectors: ticker → its sectors. universe, benchmark,
    vix: None without one. keep, redenominations: as in `judge`. single: tickers with one price throughout, which are
    excluded in hindsight.
    """

    table: pd.DataFrame
    sessions: DateArray
    columns: Sequence[str]
    universe: Universe | None
    sectors: SectorSpans
    benchmark: Series | None
    vix: Series | None
    keep: Sequence[str]
    redenominations: Sequence[date]
    single: frozenset[str]

    def panel_at(self, at: int) -> PanelThen:
        """The panel of the source cut after session index `at`.

        The mean of the universe as benchmark is None if some tickers are `without`, which have a part in it.
        """
        sessions, day = self.sessions[: at + 1], self.sessions[at]
        bars = bars_of(_as_delivered(self.table[self.table["date"] <= pd.Timestamp(day)]), sessions, self.columns)
        known = None if self.universe is None else self.universe.known_on(day)
        member = None if known is None else known.members(sessions, bars.tickers)
        intake = take_in(bars, sessions, member, self.keep, self.redenominations)
        panel = build_panel(bars, intake.judged, sessions, member, known_sectors(self.sectors, day))
        benchmark = _cut(self.benchmark, panel.sessions, "benchmark", day)
        without = self.single | single_priced(bars.tickers, bars.ticker, intake.judged)
        if self.benchmark is None and not without:
            benchmark = universe_index(panel)
        panel = replace(panel, benchmark=benchmark, vix=_cut(self.vix, panel.sessions, "vix", day))
        return PanelThen(panel, _undecided(intake, panel), without)

    def telling_sessions(self, panel: PricePanel) -> dict[str, IntArray]:
        """What a cut may show → indices of the sessions where it would.

        `excluded`: a row with a close is not in `panel`. `ended`: the last row of a ticker that ends early. `joined`: the
        session before a membership begins.
        """
        closes = np.flatnonzero(np.isfinite(self.table["close"].to_numpy(np.float64)))
        session = np.searchsorted(self.sessions, self.table["date"].to_numpy().astype("datetime64[D]")[closes])
        ticker = self.table["ticker"].cat.codes.to_numpy()[closes]
        column = pd.Index(panel.tickers).get_indexer(self.table["ticker"].cat.categories)[ticker]
        first = int(np.searchsorted(self.sessions, panel.sessions[0]))
        has_bar = np.zeros((len(self.sessions), len(panel.tickers)), bool)
        has_bar[first : first + len(panel.sessions)] = np.isfinite(panel.fields["close"])
        inside = (session < len(self.sessions)) & (column >= 0)
        last = np.zeros(ticker.max(initial=0) + 1, np.int64)
        np.maximum.at(last, ticker, session)
        starts = np.empty(0, "datetime64[D]") if self.universe is None else self.universe.starts
        joined = np.searchsorted(self.sessions, starts[starts > self.sessions[0]]) - 1
        return {
            "excluded": np.unique(session[inside][~has_bar[session[inside], column[inside]]]),
            "ended": np.unique(last[last < len(self.sessions) - 1]),
            "joined": np.unique(joined[joined < len(self.sessions) - 1]),
        }


def _as_delivered(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the adjusted closes of their last day: a ticker's last one equals its close, later dividends are gone."""
    if "adj_close" not in rows:
        return rows
    rows = rows.reset_index(drop=True)
    newest = rows.loc[rows[rows["adj_close"] > 0].groupby("ticker", observed=True)["date"].idxmax()].set_index("ticker")
    factor = (newest["close"] / newest["adj_close"]).reindex(rows["ticker"].cat.categories).fillna(1.0).to_numpy()
    return rows.assign(adj_close=rows["adj_close"] * factor[rows["ticker"].cat.codes])


def _cut(series: Series | None, sessions: DateArray, key: str, day: np.datetime64) -> FloatArray | None:
    """(n_sessions,) the series up to `day` on the sessions; None without one."""
    if series is None or not len(sessions):
        return None
    known = replace(series, table=series.table[series.table["date"] <= pd.Timestamp(day)])
    return aligned(known, sessions, key, 0.0).values


def single_priced(tickers: Sequence[str], ticker: IntArray, judged: Judged) -> frozenset[str]:
    """The tickers with one price throughout. ticker: (n_bars,) codes into `tickers`."""
    return frozenset(tickers[code] for code in np.unique(ticker[judged.columns["single_price"]]))


def _undecided(intake: Intake, panel: PricePanel) -> BoolArray:
    """(n_sessions, n_tickers) of `panel`: from a jump on that the RESOLVED_SESSIONS after it have yet to judge."""
    bars, n_sessions = intake.bars, len(intake.sessions)
    recent = intake.judged.jumps.action & (bars.session > n_sessions - 1 - RESOLVED_SESSIONS)
    since = np.full(len(bars.tickers), n_sessions)
    np.minimum.at(since, bars.ticker[recent], bars.session[recent])
    code = {ticker: index for index, ticker in enumerate(bars.tickers)}
    begins = since[[code[ticker] for ticker in panel.tickers]].astype(np.int64)
    first = int(np.searchsorted(intake.sessions, panel.sessions[0])) if len(panel.sessions) else 0
    undecided: BoolArray = first + np.arange(len(panel.sessions))[:, None] >= begins
    return undecided
