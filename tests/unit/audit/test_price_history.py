"""The audit of prices: clean on any market that the intake can meet, and it names what was not known then."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tasks.audit.price_history import audit_alignment, audit_membership, audit_prices, drawn_cuts
from foundry_tasks.data.assembly import build_panel
from foundry_tasks.data.bar_verdicts import bars_of
from foundry_tasks.data.intake import take_in
from foundry_tasks.data.market_files import aligned
from foundry_tasks.data.price_source import Series
from foundry_tasks.data.sectors import SectorSpan
from foundry_tasks.data.source_cut import MarketSource, single_priced
from foundry_tasks.data.universe import Universe, universe_index
from tests.market_bars import sound_bars

TO_THIS_DAY = np.datetime64("2262-01-01")
TICKERS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
BARS = sound_bars(TICKERS)
SESSIONS = BARS["date"].drop_duplicates().to_numpy().astype("datetime64[D]")
N = len(SESSIONS)
PRICES = ["open", "high", "low", "close"]
SECTORS = {
    ticker: (
        SectorSpan("old", SESSIONS[0], SESSIONS[199], dated=True),
        SectorSpan("new", SESSIONS[200], TO_THIS_DAY, dated=True),
    )
    for ticker in TICKERS[:2]
}
UNIVERSE = Universe(
    "file", ("AAA", "BBB", "CCC", "DDD"), SESSIONS[[0, 100, 0, 300]], np.array([SESSIONS[250], *[TO_THIS_DAY] * 3])
)
KINDS = ("jump", "move", "ends", "begins", "halt", "untraded", "stale", "one price", "outside")

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, len(TICKERS) - 1),
        st.integers(60, N - 2),
        st.integers(1, 25),
        st.sampled_from([1 / 100, 1 / 2, 3 / 5, 3 / 4, 3 / 2, 20]),
    ),
    max_size=5,
)


def with_event(frame, kind, ticker, at, length, factor):
    """The bars of a market after an event from session `at` on."""
    frame = frame.copy()
    own = frame["ticker"] == TICKERS[ticker]
    since = own & (frame["date"] >= pd.Timestamp(SESSIONS[at]))
    during = since & (frame["date"] < pd.Timestamp(SESSIONS[min(at + length, N - 1)]))
    if kind in {"jump", "move"}:
        frame.loc[during if kind == "jump" else since, [*PRICES, "adj_close"]] *= factor
    elif kind in {"ends", "begins", "halt"}:
        gone = {"ends": since, "begins": own & ~since, "halt": during}[kind]
        frame = frame[~gone]
    elif kind == "untraded":
        frame.loc[during, "volume"] = 0.0
    elif kind in {"stale", "one price"}:
        frame.loc[during if kind == "stale" else own, [*PRICES, "adj_close"]] = 50.0
    else:
        frame.loc[during, "high"] *= 0.9
    return frame


def market(events=(), universe=None, *, adjusted=True, benchmark=True, single=True):
    """The panel of a market with these events, and its source."""
    frame = BARS.assign(adj_close=BARS["close"])
    ago = N - 1 - np.tile(np.arange(N), len(TICKERS))
    frame["adj_close"] *= 0.99 ** (ago // 40)
    for event in events:
        frame = with_event(frame, *event)
    frame = frame if adjusted else frame.drop(columns="adj_close")
    bars = bars_of(frame, SESSIONS)
    member = None if universe is None else universe.members(SESSIONS, bars.tickers)
    intake = take_in(bars, SESSIONS, member)
    panel = build_panel(bars, intake.judged, SESSIONS, member, SECTORS)
    mean = BARS.groupby("date", as_index=False)["close"].mean()
    series = Series(mean, "file") if benchmark else None
    values = aligned(series, panel.sessions, "benchmark", 0.0).values if series else universe_index(panel)
    source = MarketSource(
        table=frame.astype({"ticker": "category"}),
        sessions=SESSIONS,
        columns=tuple(bars.fields),
        universe=universe,
        sectors=SECTORS,
        benchmark=series,
        vix=None,
        keep=(),
        redenominations=(),
        single=single_priced(bars.tickers, bars.ticker, intake.judged) if single else frozenset(),
    )
    return replace(panel, benchmark=values), source


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    events=EVENTS,
    at=st.integers(40, N - 2),
    has_universe=st.booleans(),
    adjusted=st.booleans(),
    benchmark=st.booleans(),
)
def test_no_market_that_the_intake_can_meet_has_a_finding(events, at, has_universe, adjusted, benchmark):
    panel, source = market(events, UNIVERSE if has_universe else None, adjusted=adjusted, benchmark=benchmark)
    telling = source.telling_sessions(panel)
    near = [min(event[2] + ahead, N - 2) for event in events for ahead in (-1, 0, 3, 9)]
    cuts = {at, *near, *drawn_cuts(N, telling, np.random.default_rng(at))}
    assert audit_prices(panel, source.panel_at, sorted(cuts)) == ()
    if has_universe:
        assert audit_membership(panel, UNIVERSE.tickers, UNIVERSE.starts, UNIVERSE.ends) == ()
    assert audit_alignment(panel) == ()


AT = 260
DROPPED = 2


def rolled(values):
    return np.concatenate([values[1:], values[-1:]])


PLANTED = {
    "a ticker is left out": (
        lambda panel: replace(
            panel,
            tickers=panel.tickers[1:],
            sectors=panel.sectors[1:],
            dated_sectors=None,
            member=panel.member[:, 1:],
            fields={name: values[:, 1:] for name, values in panel.fields.items()},
        ),
        "AAA had prices and are left out",
    ),
    "a bar is left out": (
        lambda panel: panel.mapped(
            lambda _, values: values if values.ndim == 1 else np.where(np.arange(N)[:, None] == AT, np.nan, values)
        ),
        f"AAA on {SESSIONS[AT]} (and 5 other tickers) is no member with a price",
    ),
    "another close": (
        lambda panel: replace(panel, fields={**panel.fields, "close": panel.fields["close"] + 1e-9}),
        "close of AAA",
    ),
    "adjusted closes with another return": (
        lambda panel: replace(
            panel, fields={**panel.fields, "adj_close": panel.fields["adj_close"] * np.linspace(1, 1.001, N)[:, None]}
        ),
        "adj_close of AAA",
    ),
    "a benchmark a session ahead": (lambda panel: replace(panel, benchmark=rolled(panel.benchmark)), "benchmark of"),
    "sectors of the last session": (lambda panel: replace(panel, dated_sectors=None), "the sector of AAA"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_was_not_known_then_is_named(planted):
    change, said = PLANTED[planted]
    panel, source = market()
    found = audit_prices(change(panel), source.panel_at, [AT])
    assert any(said in line for line in found), found


def test_members_outside_the_dates_of_the_file_are_named():
    panel, _ = market(universe=UNIVERSE)
    member = panel.member.copy()
    member[99, panel.tickers.index("BBB")] = True
    (found,) = audit_membership(replace(panel, member=member), UNIVERSE.tickers, UNIVERSE.starts, UNIVERSE.ends)
    assert found == "prices: BBB count as members outside the dates of the universe file"


def test_a_benchmark_that_is_dated_a_session_early_in_its_file_is_found():
    panel, _ = market(benchmark=False)
    (found,) = audit_alignment(replace(panel, benchmark=rolled(panel.benchmark)))
    assert "benchmark moves with the market's next session" in found


@pytest.mark.parametrize("seed", range(20))
def test_a_benchmark_that_has_nothing_to_do_with_the_market_is_no_finding(seed):
    panel, _ = market(benchmark=False)
    other = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, N)))
    assert audit_alignment(replace(panel, benchmark=other)) == ()


def test_cuts_are_drawn_where_bars_are_excluded_where_tickers_end_and_before_they_join():
    panel, source = market([("untraded", 5, 120, 1, 1.0), ("ends", 4, 200, 1, 1.0)], UNIVERSE)
    telling = source.telling_sessions(market([("untraded", 5, 120, 1, 1.0), ("ends", 4, 200, 1, 1.0)])[0])
    assert telling["excluded"].tolist() == [120]
    assert telling["ended"].tolist() == [199]
    assert source.telling_sessions(panel)["joined"].tolist() == [99, 299]
    assert {120, 199} < set(drawn_cuts(N, telling, np.random.default_rng(0)))
