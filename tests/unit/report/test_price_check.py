"""Output of `foundry check`: text of at most 100 columns, and a page with a plot of each of the ten worst cases."""

import re
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.documents import Prices
from foundry_tasks.contract.documents.prices import Columns, ExcludedBars, LargeMove
from foundry_tasks.contract.ports import Finding
from foundry_tasks.data.bar_files import write_bars
from foundry_tasks.data.bar_verdicts import bars_of, events, judge
from foundry_tasks.data.jumps import RESOLVED_SESSIONS
from foundry_tasks.report.price_cases import AROUND_SESSIONS, CASES, Snapshot, drawn, rejected_cases, worst_cases
from foundry_tasks.report.price_check import PriceCheck, as_page, as_text
from foundry_tasks.report.terminal_style import WIDTH
from tests.market_bars import sound_bars
from tests.unit.report.test_pages import Loads, parsed, shown

TICKERS = tuple(f"T{number:02}" for number in range(14))
PRICES = ["open", "high", "low", "close"]
BARS = sound_bars(TICKERS)
N = len(BARS) // len(TICKERS)
SESSIONS = BARS["date"].to_numpy()[:N].astype("datetime64[D]")
DAY = date(2020, 2, 3)
ABOUT = Prices(
    source="prices.parquet", calendar="XNYS", as_of=SESSIONS[-1].item(), tickers=14, sessions=N,
    columns=Columns(present=("close",), absent=("volume",)), first_session=SESSIONS[0].item(),
    last_session=SESSIONS[-1].item(), benchmark="none", vix=None, sectors=0, universe="<today's> members",
    coverage=0.991, restated=(), excluded=(), large_moves=(), snapshot="f" * 64,
)  # fmt: skip


def about(**changed):
    return ABOUT.model_copy(update=changed)


def split(bars, ticker, at, factor, stop=N):
    first = TICKERS.index(ticker) * N
    bars.loc[first + at : first + stop - 1, PRICES] /= factor


def checked(bars, folder):
    """The judgement of these bars as in the command, without the stage."""
    snapshot = Snapshot(write_bars(bars, folder / "snapshot.parquet"))
    found = bars_of(bars, SESSIONS)
    large_moves = events(found, judge(found))
    return PriceCheck("my prices.csv", about(large_moves=large_moves), cases=worst_cases(large_moves, snapshot))


@pytest.fixture(scope="module")
def split_market(tmp_path_factory):
    """Thirteen splits, 2:1 to 14:1, bad bars of T13, and a confirmed crash of T13."""
    bars = BARS.copy()
    for number, ticker in enumerate(TICKERS[:-1]):
        split(bars, ticker, 100, number + 2)
    split(bars, "T13", 200, 100, stop=204)
    split(bars, "T13", 300, 3)
    crash = 13 * N + 300
    bars.loc[crash, ["high", "volume"]] *= [2.5, 30]
    return checked(bars, tmp_path_factory.mktemp("split"))


@pytest.fixture(scope="module")
def sound_market(tmp_path_factory):
    return checked(BARS, tmp_path_factory.mktemp("sound"))


# ------------------------------------------------------------------ text
def test_every_large_move_is_listed_with_date_move_ratio_verdict_and_how_to_overrule_it(split_market):
    text = as_text(split_market)
    assert "Large moves: 15\n" in text
    for number, ticker in enumerate(TICKERS[:-1]):
        row = next(line for line in text.splitlines() if line.startswith(f"    {ticker} "))
        assert re.search(rf"{SESSIONS[100]} +−\d\d\.\d %  {number + 2}:1 ", row)
        assert row.endswith(f'keep = ["{ticker} {SESSIONS[100]}"]')
    assert "13: taken for an unadjusted split" in text
    assert "1: bad bars until the level returned" in text
    assert text.index("13: taken") < text.index("1: kept")
    kept = text.partition("1: kept\n")[2].splitlines()[0]
    assert kept.startswith(f"    T13  {SESSIONS[300]}  −")
    assert "keep =" not in kept


def test_what_is_set_aside_is_told_by_reason_with_counts_and_the_first_tickers():
    entries = [
        ExcludedBars(reason="volume of zero", ticker=f"T{n}", bars=n + 1, first=DAY, last=DAY.replace(day=3 + n))
        for n in range(7)
    ]
    text = " ".join(as_text(PriceCheck("x.csv", about(excluded=entries))).split())
    assert "volume of zero: 28 bars of 7 tickers: T0 (2020-02-03), T1 (2020-02-03 to 2020-02-04)" in text
    assert "T4 (2020-02-03 to 2020-02-07) and 2 more" in text


def test_a_sound_file_has_nothing_to_tell(sound_market):
    text = as_text(sound_market)
    assert "Excluded: none" in text
    assert "Large moves: none" in text
    assert "Warnings: none" in text
    assert "keep" not in text


words = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12)
names = st.lists(words, min_size=1, max_size=40).map(" ".join)


@given(names, st.lists(names, max_size=4), words, st.floats(-0.999, 1e4), words)
def test_no_line_is_wider_than_a_hundred_columns(prices, warnings, ticker, move, ratio):
    one = LargeMove(ticker=ticker, date=DAY, move=move, ratio=ratio, verdict="a verdict " * 20,
                    overrule=f'keep = ["{ticker} 2020-02-03"]')  # fmt: skip
    text = as_text(PriceCheck(prices, about(large_moves=(one,)), warnings=tuple(warnings)))
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []


# ------------------------------------------------------------------ page
def figures(page):
    return [element for element in parsed(page).iter() if element.tag == "figure"]


def test_the_page_draws_the_ten_worst_cases_those_that_are_kept_last(split_market):
    drawings = figures(as_page(split_market))
    assert len(drawings) == CASES
    labels = [
        element.get("aria-label") for one in drawings for element in one.iter("svg") if element.get("role") == "img"
    ]
    assert len(labels) == CASES
    assert labels[0].startswith(f"close of T13 around {SESSIONS[200]}: −99.0 %")
    assert [label.split()[2] for label in labels[1:]] == [f"T{number:02}" for number in range(12, 3, -1)]


def test_a_case_says_in_one_line_what_it_is_and_how_to_overrule_it(split_market):
    bad, action = figures(as_page(split_market))[:2]
    (caption,) = ("".join(element.itertext()) for element in bad.iter("figcaption"))
    assert caption.startswith(f"T13 {SESSIONS[200]}: −99.0 % (101:1), bad bars until the level returned")
    assert f'keep = ["T13 {SESSIONS[200]}"]' in caption
    assert "\n" not in caption
    assert "(14:1), taken for an unadjusted split" in "".join(action.itertext())


def test_a_picture_shows_the_sessions_around_and_shades_what_is_withheld_or_bad(split_market):
    bad, action = split_market.cases[:2]
    assert len(bad.prices) == 2 * AROUND_SESSIONS + 1
    assert bad.sessions[bad.at] == str(SESSIONS[200])
    assert (bad.at, bad.last - bad.at + 1) == (AROUND_SESSIONS, 4)
    assert action.last - action.at + 1 == RESOLVED_SESSIONS
    assert 'class="span"' in drawn(bad)
    assert 'class="jump"' in drawn(bad)


def test_a_move_that_is_kept_is_drawn_and_nothing_is_shaded(tmp_path):
    bars = BARS.copy()
    split(bars, "T00", 300, 3)
    bars.loc[300, ["high", "volume"]] *= [2.5, 30]
    (case,) = checked(bars, tmp_path).cases
    assert case.verdict == "kept"
    assert 'class="span"' not in drawn(case)


def test_a_picture_at_either_end_of_the_file_and_without_some_prices_is_drawn(tmp_path):
    bars = BARS.copy()
    bars.loc[0:2, "close"] = [np.nan, 0.0, -1.0]
    split(bars, "T00", N - 1, 20)
    found = checked(bars, tmp_path)
    case = next(one for one in found.cases if one.date == str(SESSIONS[-1]))
    assert case.sessions[-1] == case.date
    assert drawn(case)
    first = Finding(
        "an expectation", "critical", "close", 1, 1, ({"ticker": "T00", "date": str(SESSIONS[1])},), "no price"
    )
    (case,) = rejected_cases([first], Snapshot(tmp_path / "snapshot.parquet"))
    assert case.prices[:3] == (None, None, None)
    assert drawn(case)


def test_the_adjusted_close_is_drawn_where_returns_are_made_of_it(tmp_path):
    bars = BARS.copy()
    bars["adj_close"] = bars["close"] / 2
    split(bars, "T00", 100, 20)
    bars.loc[100 : N - 1, "adj_close"] /= 20
    (case,) = checked(bars, tmp_path).cases
    assert case.price_name == "adjusted close"
    assert case.prices[0] == pytest.approx(bars["adj_close"][100 - AROUND_SESSIONS])


def test_the_page_of_a_sound_file_has_no_case(sound_market):
    page = as_page(sound_market)
    assert not figures(page)
    assert "Every bar is kept, and there is no large move." in shown(page)


def test_of_a_rejected_file_the_page_shows_what_it_is_refused_for_first(tmp_path):
    snapshot = Snapshot(write_bars(BARS, tmp_path / "snapshot.parquet"))
    findings = [
        Finding("one", "warning", "action", 1, 9, ({"ticker": "T01", "date": str(SESSIONS[50])},), "an action"),
        Finding("two", "critical", "common_step", 2, 9,
                tuple({"ticker": ticker, "date": str(SESSIONS[60])} for ticker in ("T02", "T03")), "two scales meet"),
        Finding("three", "critical", "coverage", 0, 9, ({"observed": 0.2},), "too little remains"),
    ]  # fmt: skip
    found = PriceCheck("x.csv", refusal="prices rejected: <scales>", read=snapshot.facts(), warnings=("an action",),
                       cases=rejected_cases(findings, snapshot))  # fmt: skip
    assert [case.ticker for case in found.cases] == ["T02", "T03", "T01"]
    assert re.search(r"T02 \d{4}-\d\d-\d\d: [+−]\d\.\d %, two scales meet\.", found.cases[0].caption)
    text = shown(as_page(found))
    assert "Rejectedprices rejected: <scales>" in text.replace("Rejected ", "Rejected")
    assert f"{len(BARS):,}, {SESSIONS[0]} to {SESSIONS[-1]}" in as_text(found)


@pytest.mark.parametrize("market", ["split_market", "sound_market"])
def test_opening_the_page_asks_nobody_for_anything_and_data_are_escaped(market, request):
    page = as_page(request.getfixturevalue(market))
    loads = Loads()
    loads.feed(page)
    assert loads.addresses == ["data:,"]
    assert not loads.tags & {"script", "iframe", "object", "embed", "img", "base"}
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "<today's> members" in shown(page)
    assert not re.search(r"\b(nan|inf)\b", page, re.IGNORECASE)


def test_moves_that_are_kept_come_after_those_that_can_be_overruled():
    kept = LargeMove(ticker="AAA", date=DAY, move=-0.5, verdict="kept")
    action = LargeMove(ticker="BBB", date=DAY, move=-0.5, verdict="an action", overrule='keep = ["BBB 2020-02-03"]')
    assert list(PriceCheck("x.csv", about(large_moves=(kept, action))).large_moves) == ["an action", "kept"]
