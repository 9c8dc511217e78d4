"""prices: fetches and judges bars, excludes bad ones by name, and publishes one wide panel with the market's series.

A run that fits no model reads only the sessions that the features of the last ones need.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.documents import Prices
from foundry_tasks.contract.documents.prices import Columns, PriceAudit
from foundry_tasks.contract.errors import DataRejectedError, FoundryError, NothingToDo
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.contract.stage_outputs import StageOutputs
from foundry_tasks.contract.stages import recent_sessions
from foundry_tasks.data.input_files import content_digest, input_files, single_file
from foundry_tasks.data.price_source import PriceSource, Series, open_source

if TYPE_CHECKING:
    import pandas as pd

    from foundry_tasks.data.bar_verdicts import Bars, Judged
    from foundry_tasks.data.intake import Intake
    from foundry_tasks.data.market_files import Aligned
    from foundry_tasks.data.panel import BoolArray, DateArray, PricePanel
    from foundry_tasks.data.sectors import SectorSpans
    from foundry_tasks.data.snapshots import Snapshot
    from foundry_tasks.data.source_cut import MarketSource
    from foundry_tasks.data.universe import Universe

MIN_SESSIONS = 126
"""Half a year. A shorter history is refused."""
JUDGED_SESSIONS = 32
"""A bar is judged by the 20 bars of its ticker before it, a jump by the 10 sessions after it. A panel of recent sessions
begins this much earlier than features need."""
MAX_GAP_SESSIONS = 5
"""A longer gap in a ticker's bars is reported."""
MAX_AGE_SESSIONS = 3
"""Prices whose newest bar is older than this are stale."""
_LATE_DAYS = 7
_FILES = ("sectors", "benchmark", "vix", "universe")


def fingerprint(config: PricesConfig, io: StageIO) -> str | None:
    """Digest of the data that this stage reads outside the store; None for a live source: its result is not reused."""
    here = _with_local_files(config, io)
    source = open_source(here, config.prices).fingerprint()
    if source is None:
        return None
    files = {key: content_digest(input_files(getattr(here, key), key)) for key in _FILES if getattr(here, key)}
    return artifacts.digest_of({"source": source, **files})


def run(config: PricesConfig, io: StageIO) -> None:
    """Price source → prices.parquet (the panel) and prices.json (facts about it).

    Raises NothingToDo if `skip_closed` is set and the market is closed on the day after as-of.
    """
    io.environment.expectations.warm_up()
    here = _with_local_files(config, io)
    source = open_source(here, config.prices, io)
    try:
        _run(here, io, source)
    except DataRejectedError as error:
        io.outputs.quarantine("reason.json", artifacts.canonical_json({"source": source.name, "reason": str(error)}))
        raise


def _with_local_files(config: PricesConfig, io: StageIO) -> PricesConfig:
    """`config` with local paths in place of the user's paths and URIs."""
    here = io.environment.files.here
    return config.model_copy(update={key: here(getattr(config, key)) for key in ("prices", *_FILES)})


@dataclass(frozen=True)
class _Fetched:
    """Inputs of the run before judgement. sectors: ticker → its sectors."""

    source: PriceSource
    as_of: date
    universe: "Universe | None"
    sectors: "SectorSpans"
    snapshot: "Snapshot"


@dataclass(frozen=True)
class _MarketSeries:
    """Market-wide series on the panel's sessions, and as the source has them; None where there is none."""

    benchmark: "Aligned | None"
    vix: "Aligned | None"
    benchmark_source: Series | None = None
    vix_source: Series | None = None


def _run(config: PricesConfig, io: StageIO, source: PriceSource) -> None:
    from foundry_tasks.data.assembly import build_panel  # noqa: PLC0415 - pandas and calendars, needed by this stage only
    from foundry_tasks.data.tables import write_prices  # noqa: PLC0415 - as above

    fetched = _fetch(config, io, source)
    with io.step("judge"):
        table = _wanted(config, io, source, fetched.snapshot.table, fetched.as_of)
    if config.cross_check:
        with io.step("cross_check"):
            _cross_check(config, io, source, table, fetched.as_of)
    with io.step("judge"):
        fetched, intake = _judge(config, io, fetched, table)
    _warn_of_input(io, source, intake.judged)
    _guard(config, io.outputs, intake)
    if intake.newest < len(intake.sessions) - 1:
        io.warn(
            f"prices: as of {intake.newest_session} and not {intake.as_of}: after it fewer than half of the tickers have a "
            "close."
        )
        intake = intake.up_to_newest(config.keep, config.redenominations)
    with io.step("build"):
        panel = build_panel(intake.bars, intake.judged, intake.sessions, intake.member, fetched.sectors)
        series = _market_series(config, io, source, panel)
        panel = _with_series(panel, series)
    with io.step("publish"):
        write_prices(io.outputs.workspace / "prices.parquet", panel)
        io.publish_file("prices.parquet", io.outputs.workspace / "prices.parquet")
        about = _about(config, fetched, intake, panel, series)
        about = about.model_copy(update={"withholds": _withholds(config, io, source)})
    _warn_of_data(config, io, fetched, intake, panel, about)
    io.outputs.as_of = intake.as_of
    io.outputs.metrics |= {
        "tickers": about.tickers,
        "sessions": about.sessions,
        "first_session": about.first_session.isoformat(),
        "last_session": about.last_session.isoformat(),
        "coverage": about.coverage,
        "bars_set_aside": int((~intake.judged.kept).sum()),
    }
    if not recent_sessions(io.identity.dag):
        whole = _whole_source(config, fetched, intake, series)
        del table, intake, series  # memory for the panels of the cuts
        with io.step("audit"):
            about = about.model_copy(update={"audit": _audit(whole, panel, fetched.snapshot.sha256)})
    io.publish(about)


def _fetch(config: PricesConfig, io: StageIO, source: PriceSource) -> _Fetched:
    from foundry_tasks.data.market_files import read_sectors  # noqa: PLC0415 - as above
    from foundry_tasks.data.snapshots import refreshed  # noqa: PLC0415 - as above
    from foundry_tasks.data.universe import read_universe  # noqa: PLC0415 - as above

    with io.step("fetch"):
        universe = read_universe(single_file(config.universe, "universe"), io.warn) if config.universe else None
        sectors: SectorSpans = read_sectors(single_file(config.sectors, "sectors"), io.warn) if config.sectors else {}
        as_of = _as_of(config, io, source)
        recent = recent_sessions(io.identity.dag)
        since = partial(_since, config.calendar, as_of, recent) if recent else None
        snapshot = refreshed(config, io.store, source, as_of, io.outputs.workspace, since)
    return _Fetched(source, as_of, universe, sectors, snapshot)


def _judge(config: PricesConfig, io: StageIO, fetched: _Fetched, table: "pd.DataFrame") -> "tuple[_Fetched, Intake]":
    """The bars of `table` with their verdicts; sectors by ticker, as the prices spell it."""
    from foundry_tasks.data.bar_verdicts import bars_of  # noqa: PLC0415 - as above
    from foundry_tasks.data.intake import take_in  # noqa: PLC0415 - as above
    from foundry_tasks.data.sessions import sessions_between  # noqa: PLC0415 - as above

    first = min(table["date"].min().date(), fetched.as_of)
    sessions = sessions_between(config.calendar, first, fetched.as_of)
    bars = bars_of(table, sessions)
    sectors = _spelled(config, io, bars.tickers, fetched.universe, fetched.sectors)
    member = _members(fetched.universe, bars, sessions, fetched.source)
    return replace(fetched, sectors=sectors), take_in(bars, sessions, member, config.keep, config.redenominations)


def _about(
    config: PricesConfig, fetched: _Fetched, intake: "Intake", panel: "PricePanel", series: _MarketSeries
) -> Prices:
    from foundry_tasks.data.bar_verdicts import events, excluded_bars  # noqa: PLC0415 - as above
    from foundry_tasks.data.sectors import hindsight_in  # noqa: PLC0415 - as above
    from foundry_tasks.data.universe import survivorship  # noqa: PLC0415 - as above

    benchmark = "none" if panel.benchmark is None else "the mean of the universe"
    return Prices(
        source=fetched.source.name,
        calendar=config.calendar,
        as_of=intake.as_of,
        columns=Columns(
            present=tuple(panel.fields),
            absent=tuple(name for name in ("open", "high", "low", "adj_close", "volume") if name not in panel.fields),
        ),
        tickers=len(panel.tickers),
        sessions=len(panel.sessions),
        first_session=panel.sessions[0].item(),
        last_session=panel.sessions[-1].item(),
        benchmark=series.benchmark.origin if series.benchmark else benchmark,
        vix=series.vix.origin if series.vix else None,
        sectors=len(_sector_names(panel)),
        sector_dates=hindsight_in(fetched.sectors, Path(config.sectors).name),
        universe=survivorship(fetched.universe, _priced(panel), panel.sessions),
        coverage=round(intake.coverage, 6),
        excluded=excluded_bars(intake.bars, intake.judged),
        large_moves=events(intake.bars, intake.judged),
        restated=fetched.snapshot.restated,
        snapshot=fetched.snapshot.sha256,
    )


def _whole_source(config: PricesConfig, fetched: _Fetched, intake: "Intake", series: _MarketSeries) -> "MarketSource":
    from foundry_tasks.data.source_cut import MarketSource, single_priced  # noqa: PLC0415 - as above

    return MarketSource(
        table=fetched.snapshot.table.astype({"ticker": "category"}),
        sessions=intake.sessions,
        columns=tuple(intake.bars.fields),
        universe=fetched.universe,
        sectors=fetched.sectors,
        benchmark=series.benchmark_source,
        vix=series.vix_source,
        keep=config.keep,
        redenominations=config.redenominations,
        single=single_priced(intake.bars.tickers, intake.bars.ticker, intake.judged),
    )


def _audit(source: "MarketSource", panel: "PricePanel", snapshot: str) -> PriceAudit:
    """The leakage audit of the prices. Its draws derive from the digest of the source's rows: no conf changes them."""
    import numpy as np  # noqa: PLC0415 - as above

    from foundry_tasks.audit import price_history  # noqa: PLC0415 - as above
    from foundry_tasks.data.tickers import as_prices_write  # noqa: PLC0415 - as above

    universe, rng = source.universe, np.random.default_rng(int(snapshot[:16], 16))
    cuts = price_history.drawn_cuts(len(source.sessions), source.telling_sessions(panel), rng)
    leaks = price_history.audit_prices(panel, source.panel_at, cuts)
    if universe:
        tickers = as_prices_write(universe.tickers, panel.tickers)
        spelled = [tickers.get(ticker, ticker) for ticker in universe.tickers]
        leaks += price_history.audit_membership(panel, spelled, universe.starts, universe.ends)
    leaks += price_history.audit_alignment(panel)
    days = ", ".join(str(source.sessions[at]) for at in cuts)
    return PriceAudit(leaks=leaks, checked=_checked(source, days), not_audited=_not_audited(source))


def _checked(source: "MarketSource", days: str) -> tuple[str, ...]:
    checked = [f"prices made again from the source cut at {days}: bars, exclusions, members, series, sectors"]
    if source.universe:
        checked.append("members against the dates of the universe file")
    if source.benchmark or source.vix:
        checked.append("dates of benchmark and VIX against the market's returns")
    return tuple(checked)


def _not_audited(source: "MarketSource") -> tuple[str, ...]:
    """Uses of later knowledge that cannot be found, since the rows that the source gave hold them already."""
    found = ["tickers that the source leaves out, and values that it revised before it gave them, apart from adj_close"]
    if source.universe is None or source.universe.undated:
        found.append("members that are chosen in hindsight: the run has no universe file with all start dates")
    if any(not span.dated for spans in source.sectors.values() for span in spans):
        found.append("sectors of today: the file does not date all of them")
    return tuple(found)


def _with_series(panel: "PricePanel", series: _MarketSeries) -> "PricePanel":
    """The panel with its benchmark (without one: the mean of the universe) and its VIX."""
    from foundry_tasks.data.universe import universe_index  # noqa: PLC0415 - as above

    benchmark = series.benchmark.values if series.benchmark else universe_index(panel)
    return replace(panel, benchmark=benchmark, vix=series.vix.values if series.vix else None)


def _members(
    universe: "Universe | None", bars: "Bars", sessions: "DateArray", source: PriceSource
) -> "BoolArray | None":
    """(n_sessions, n_tickers) membership; None without a universe file. Raises DataRejectedError if no ticker has prices."""
    if universe is None:
        return None
    member = universe.members(sessions, bars.tickers)
    if not member.any():
        raise DataRejectedError(
            f"no ticker of the universe {universe.name} has prices in {source.name} from {sessions[0]} to {sessions[-1]}. "
            "Check that both write tickers alike and that their dates overlap."
        )
    return member


def _as_of(config: PricesConfig, io: StageIO, source: PriceSource) -> date:
    """The run's as-of, moved back to `end`, to the last date of a static source, and to a session."""
    from foundry_tasks.data.sessions import is_session, latest_session  # noqa: PLC0415 - as above

    ends = (io.identity.as_of, config.end, source.last_date())
    as_of = latest_session(config.calendar, min(end for end in ends if end is not None))
    if config.skip_closed and as_of == latest_session(config.calendar, io.identity.as_of):
        today = io.identity.as_of + timedelta(days=1)
        if not is_session(config.calendar, today):
            raise NothingToDo(f"{today} is no session of {config.calendar}: the market is closed.")
    return as_of


def _withholds(config: PricesConfig, io: StageIO, source: PriceSource) -> bool:
    """Whether as-of or `end` leaves out sessions that the source has.

    A live source is taken to have all sessions that were over a week ago: a run that waited in a queue withholds nothing.
    """
    from foundry_tasks.data.sessions import latest_session  # noqa: PLC0415 - as above

    asked = min(day for day in (io.identity.as_of, config.end) if day is not None)
    newest = source.last_date() or io.environment.now().date() - timedelta(days=_LATE_DAYS)
    return latest_session(config.calendar, asked) < latest_session(config.calendar, newest)


def _since(calendar: str, as_of: date, recent: int, first: date) -> date:
    """First date of the prices that features of the `recent` last sessions need; `first` if there is no session since."""
    from foundry_tasks.data.sessions import sessions_between  # noqa: PLC0415 - as above
    from foundry_tasks.features.lookback import first_needed  # noqa: PLC0415 - as above

    sessions = sessions_between(calendar, first, as_of)
    found: date = sessions[first_needed(len(sessions), recent + JUDGED_SESSIONS)].item() if len(sessions) else first
    return found


def _wanted(
    config: PricesConfig, io: StageIO, source: PriceSource, table: "pd.DataFrame", as_of: date
) -> "pd.DataFrame":
    """Bars up to as-of, and bars dated after tomorrow, which expectations must reject. Warns of missing tickers."""
    import pandas as pd  # noqa: PLC0415 - as above

    from foundry_tasks.data.live_source import by_reason  # noqa: PLC0415 - as above
    from foundry_tasks.data.tickers import as_prices_write  # noqa: PLC0415 - as above

    tomorrow = io.environment.now().date() + timedelta(days=1)  # it may be tomorrow in another time zone
    future = table["date"] > pd.Timestamp(max(tomorrow, as_of))
    table = table[(table["date"] <= pd.Timestamp(as_of)) | future]
    priced = table["ticker"].unique() if config.tickers else ()
    missing = sorted(set(config.tickers) - set(as_prices_write(config.tickers, priced)))
    if table.empty or (config.tickers and len(missing) == len(set(config.tickers))):
        asked = f" of {_names(missing)}" if missing else ""
        raise DataRejectedError(
            f"{source.name} holds no prices{asked} from {config.start or 'its beginning'} to {as_of}. Correct tickers, "
            "start, end or as-of."
        )
    if source.silent:
        io.warn(f"prices: {source.name} gave no bars of {by_reason(source.silent)}; earlier bars are kept.")
    if unsaid := [ticker for ticker in missing if ticker not in source.silent]:
        io.warn(f"prices: {source.name} has no prices of {_names(unsaid)}, which `tickers` names.")
    return table


def _cross_check(config: PricesConfig, io: StageIO, source: PriceSource, table: "pd.DataFrame", as_of: date) -> None:
    """Warn of newest closes that differ in the second source. An error of that source is a warning only."""
    import pandas as pd  # noqa: PLC0415 - as above

    from foundry_tasks.data.cross_check import SESSIONS, sentence  # noqa: PLC0415 - as above
    from foundry_tasks.data.live_source import by_reason  # noqa: PLC0415 - as above
    from foundry_tasks.data.sessions import session_before  # noqa: PLC0415 - as above

    since = session_before(config.calendar, as_of, SESSIONS - 1)
    newest = table[(table["date"] >= pd.Timestamp(since)) & (table["date"] <= pd.Timestamp(as_of))]
    tickers = tuple(sorted(newest["ticker"].unique()))
    if not tickers:
        return
    try:
        there = open_source(config.model_copy(update={"source": config.cross_check, "tickers": tickers}), io=io)
        finding = sentence(newest, there.fetch(tickers, since, as_of), source.name, there.name)
    except FoundryError as error:
        io.warn(f"cross_check: {error} Nothing was compared.")
        return
    if finding:
        io.warn(finding)
    if there.silent:
        io.warn(f"cross_check: {there.name} gave no bars of {by_reason(there.silent)}.")


def _guard(config: PricesConfig, outputs: StageOutputs, intake: "Intake") -> None:
    """Validate every bar, with its verdict, by the suite `prices`."""
    import numpy as np  # noqa: PLC0415 - as above
    import pandas as pd  # noqa: PLC0415 - as above

    from foundry_tasks.data.defects import STALE_SESSIONS  # noqa: PLC0415 - as above
    from foundry_tasks.data.jumps import LARGE_MOVE, RESOLVED_SESSIONS  # noqa: PLC0415 - as above

    bars, by_ticker = intake.bars, intake.by_ticker
    thinnest = np.argsort(np.nan_to_num(by_ticker, nan=2.0), kind="stable")[:3]
    frame = pd.DataFrame(
        {
            "ticker": pd.Categorical.from_codes(bars.ticker, categories=pd.Index(bars.tickers)),
            "date": bars.day.astype("datetime64[s]"),
            **bars.fields,
            **intake.judged.columns,
            "sessions_behind": len(intake.sessions) - 1 - intake.newest,
            "days_after_as_of": (bars.day - np.datetime64(intake.as_of)).astype(np.int64),
            "coverage": intake.coverage,
        },
        copy=False,
    )
    facts = {
        "as_of": intake.as_of,
        "newest": intake.newest_session or "none",
        "max_age": MAX_AGE_SESSIONS,
        "calendar": config.calendar,
        "min_sessions": MIN_SESSIONS,
        "large_move": LARGE_MOVE,
        "resolved_sessions": RESOLVED_SESSIONS,
        "most_unchanged_sessions": STALE_SESSIONS - 1,
        "most_skipped_sessions": MAX_GAP_SESSIONS,
        "min_coverage": config.min_coverage,
        "coverage": intake.coverage,
        "thinnest": ", ".join(f"{bars.tickers[at]} {by_ticker[at]:.0%}" for at in thinnest),
    }
    outputs.guard("prices", frame, facts)


def _market_series(config: PricesConfig, io: StageIO, source: PriceSource, panel: "PricePanel") -> _MarketSeries:
    from foundry_tasks.data.market_files import aligned, read_series  # noqa: PLC0415 - as above

    def read(path: str, key: str) -> Series | None:
        return read_series(single_file(path, key), key, io.warn) if path else None

    own = source.benchmark()
    benchmark, vix = read(config.benchmark, "benchmark") or own, read(config.vix, "vix")
    found = _MarketSeries(
        benchmark=aligned(benchmark, panel.sessions, "benchmark", config.min_coverage) if benchmark else None,
        vix=aligned(vix, panel.sessions, "vix", config.min_coverage) if vix else None,
        benchmark_source=benchmark,
        vix_source=vix,
    )
    for one in (found.benchmark, found.vix):
        if one and one.warning:
            io.warn(one.warning)
    return found


def _priced(panel: "PricePanel") -> int:
    """Ticker-sessions of members that have a close."""
    close = panel.fields["close"]
    return int((panel.member & (close == close)).sum())  # noqa: PLR0124 - NaN alone differs from itself


def _warn_of_input(io: StageIO, source: PriceSource, judged: "Judged") -> None:
    """Warn of what was recognised or converted in reading, and of bars in `keep` that do not exist, before any refusal."""
    for note in source.notes:
        io.warn(f"prices: {note}")
    for entry in judged.unknown:
        io.warn(f"prices: keep names {entry!r}, but there is no such bar. Write TICKER or TICKER YYYY-MM-DD.")


def _warn_of_data(
    config: PricesConfig, io: StageIO, fetched: _Fetched, intake: "Intake", panel: "PricePanel", about: Prices
) -> None:
    """Warn of facts that readers of the report need and expectations do not check."""
    bars, member, sectors = intake.bars, intake.member, fetched.sectors
    if bars.identical_duplicates:
        io.warn(f"prices: {bars.identical_duplicates:,} rows that repeat another one are dropped.")
    if lacking := [name for name in ("open", "high", "low", "volume") if name not in panel.fields]:
        io.warn(f"prices: {about.source} has no {', '.join(lacking)}; features that need them are left out.")
    if ended := _ended(panel, point_in_time=bool(config.universe)):
        io.warn(f"prices: no bar in the last {MAX_AGE_SESSIONS} sessions for {_names(ended)}.")
    outside = {t for at, t in enumerate(bars.tickers) if member is not None and not member[:, at].any()}
    if outside:
        io.warn(f"universe: {_names(sorted(outside))} never belonged in these sessions; left out.")
    if gone := sorted(set(bars.tickers) - set(panel.tickers) - outside):
        io.warn(f"prices: no bars remain of {_names(gone)}.")
    if about.restated:
        io.warn(f"prices: the source restated {_names(about.restated)}; fetched anew.")
    if unknown := sorted(set(sectors) - set(bars.tickers)):
        io.warn(f"sectors: no prices for {_names(unknown)}; left out.")
    if sectors and (without := _without_sector(panel)):
        io.warn(f"sectors: none for {_names(without)}.")
    if about.sector_dates and not about.sector_dates.startswith("point in time"):
        io.warn(f"sectors: {about.sector_dates}; the columns start_date and end_date avoid that.")
    if not about.universe.startswith("point in time"):
        io.warn(f"universe: {about.universe}; a universe file with start and end dates avoids that.")


def _spelled(
    config: PricesConfig,
    io: StageIO,
    priced: Sequence[str],
    universe: "Universe | None",
    sectors: "SectorSpans",
) -> "SectorSpans":
    """Sectors by ticker, as the prices spell it. Warns of names that were matched under another spelling."""
    from foundry_tasks.data.tickers import renamed, spelled_otherwise  # noqa: PLC0415 - as above

    members = universe.tickers if universe else ()
    for where, names in (("tickers", config.tickers), ("universe", members), ("sectors", sectors)):
        if sentence := spelled_otherwise(names, priced, where):
            io.warn(sentence)
    return renamed(sectors, priced)


def _sector_names(panel: "PricePanel") -> set[str]:
    """The sectors that a ticker has in some session."""
    dated = panel.dated_sectors
    if dated is None:
        return set(panel.sectors) - {""}
    return {name for code, name in enumerate(dated.names) if name and (dated.code == code).any()}


def _without_sector(panel: "PricePanel") -> list[str]:
    """Tickers that have a sector in no session."""
    dated = panel.dated_sectors
    if dated is None:
        return [ticker for ticker, sector in zip(panel.tickers, panel.sectors, strict=True) if not sector]
    known = (dated.code != dated.names.index("")).any(axis=0)
    return [ticker for ticker, has_sector in zip(panel.tickers, known, strict=True) if not has_sector]


def _ended(panel: "PricePanel", *, point_in_time: bool) -> list[str]:
    """Tickers without a bar in the last MAX_AGE_SESSIONS; with point-in-time membership, current members only."""
    recent = slice(-MAX_AGE_SESSIONS, None)
    silent = (panel.fields["close"][recent] != panel.fields["close"][recent]).all(axis=0)
    late = silent & panel.member[-1] if point_in_time else silent
    return [ticker for ticker, is_late in zip(panel.tickers, late, strict=True) if is_late]


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
