"""Every bar has one verdict, and the known defects of real data are found."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.documents.prices import ExcludedBars
from foundry_tasks.data.assembly import build_panel
from foundry_tasks.data.bar_verdicts import bars_of, coverage, events, excluded_bars, judge, newest_priced
from foundry_tasks.data.jumps import RESOLVED_SESSIONS
from foundry_tasks.data.price_source import open_source
from foundry_tasks.data.sectors import SectorSpan
from foundry_tasks.data.sessions import sessions_between
from tests.market_bars import FIRST, LAST, sound_bars

SESSIONS = sessions_between("XNYS", FIRST, LAST)


def judged_from(frame):
    bars = bars_of(frame, SESSIONS)
    return bars, judge(bars)


def test_sound_bars_are_all_kept_and_covered():
    bars, judged = judged_from(sound_bars())
    assert judged.kept.all()
    assert coverage(bars, judged.kept, None, len(SESSIONS))[0] == 1.0
    assert excluded_bars(bars, judged) == ()


def test_order_of_rows_does_not_matter():
    one, other = sound_bars(), sound_bars().sample(frac=1, random_state=0)
    for frame in (one, other):
        frame.loc[frame.index[5], "high"] = 1.0
    (bars, judged), (shuffled, rejudged) = judged_from(one), judged_from(other)
    assert np.array_equal(bars.day, shuffled.day)
    assert np.count_nonzero(~judged.kept) == np.count_nonzero(~rejudged.kept) == 1


def test_a_bar_has_one_reason_even_where_several_hold():
    frame = sound_bars(("AAA", "BBB"))
    frame.loc[10, ["close", "volume"]] = [900.0, 0.0]
    bars, judged = judged_from(frame)
    day = date(2020, 1, 16)
    assert excluded_bars(bars, judged) == (
        ExcludedBars(reason="outside its low and high", ticker="AAA", bars=1, first=day, last=day),
    )


def test_history_before_an_unadjusted_split_stays_and_nothing_reaches_across():
    frame = sound_bars(("AAA", "BBB"))
    frame.loc[:99, ["open", "high", "low", "close"]] *= 2
    bars, judged = judged_from(frame)
    energy = SectorSpan("Energy", SESSIONS[0], SESSIONS[-1], dated=True)
    panel = build_panel(bars, judged, SESSIONS, None, {"AAA": (energy,)})
    assert panel.tickers == ("AAA", "BBB")
    assert np.argwhere(panel.breaks).tolist() == [[100, 0]]
    assert np.flatnonzero(~panel.member[:, 0]).tolist() == list(range(100, 110))
    assert panel.sectors == ("Energy", "")
    assert np.isnan(panel.returns[100]).tolist() == [True, False]
    assert panel.adjusted_close[100, 0] == pytest.approx(panel.adjusted_close[99, 0])
    share, each = coverage(bars, judged.kept, None, len(SESSIONS))
    assert (share, each.tolist()) == (1.0, [1.0, 1.0])


def test_what_keep_names_is_right_whatever_a_rule_says():
    frame = sound_bars(("AAA", "BBB"))
    frame.loc[:99, ["open", "high", "low", "close"]] *= 2
    frame.loc[200, "high"] = 1.0
    bars = bars_of(frame, SESSIONS)
    days = [str(bars.day[at]) for at in (100, 200)]
    judged = judge(bars, [f"AAA {day}" for day in days] + ["CCC", "BBB 2020-01-04"])
    assert judged.kept.all()
    assert not judged.breaks.any()
    assert judged.unknown == ("CCC", "BBB 2020-01-04")
    assert judge(bars, ["AAA"]).kept.all()


def test_a_redenomination_breaks_every_ticker_and_withholds_none():
    frame = sound_bars()
    day = SESSIONS[150].item()
    later = frame["date"] >= pd.Timestamp(day)
    frame.loc[later, ["open", "high", "low", "close"]] /= 1000
    bars = bars_of(frame, SESSIONS)
    assert (judge(bars).columns["common_step"] != 1).sum() == len(bars.tickers)
    judged = judge(bars, (), [day])
    assert (judged.columns["common_step"] == 1).all()
    assert not judged.jumps.withheld.any()
    panel = build_panel(bars, judged, SESSIONS, None, {})
    assert np.flatnonzero(panel.breaks.all(axis=1)).tolist() == [150]


@pytest.mark.parametrize(
    ("gone", "newest"),
    [
        ({-1: 8}, -2),
        ({-1: 5}, -2),
        ({-1: 4}, -1),
        ({-1: 7, -2: 7}, -3),
        ({-1: 8, -2: 8, -3: 8, -4: 8, -5: 8}, -6),
        ({-40 + back: 7 for back in range(40)}, -41),
        ({-2: 8}, -1),
    ],
)
def test_as_of_is_the_newest_session_on_which_at_least_half_of_the_tickers_have_a_close(gone, newest):
    frame = sound_bars()
    for session, tickers in gone.items():
        first = frame["ticker"].isin(sorted(frame["ticker"].unique())[:tickers])
        frame.loc[first & (frame["date"] == SESSIONS[session].astype("datetime64[s]")), "close"] = np.nan
    bars, judged = judged_from(frame)
    assert newest_priced(bars, judged.kept, None, len(SESSIONS)) == len(SESSIONS) + newest


def test_what_was_judged_of_large_moves_is_told_bar_by_bar():
    frame = sound_bars(("AAA", "BBB"))
    frame.loc[100:, ["open", "high", "low", "close"]] /= np.where(frame.index[100:] < len(SESSIONS), 20, 1)[:, None]
    (event,) = events(*judged_from(frame))
    assert (event.ticker, event.date, event.ratio) == ("AAA", SESSIONS[100].item(), "20:1")
    assert event.overrule == f'keep = ["AAA {SESSIONS[100]}"]'


def test_a_move_is_told_from_the_bar_that_it_was_judged_from():
    """The bar before the split has no close, so it has no move."""
    frame = sound_bars(("AAA", "BBB"))
    frame.loc[100 : len(SESSIONS) - 1, ["open", "high", "low", "close"]] /= 20
    frame.loc[99, "close"] = np.nan
    (event,) = events(*judged_from(frame))
    assert (event.date, event.ratio) == (SESSIONS[100].item(), "20:1")
    assert event.move == pytest.approx(-0.95, abs=0.01)


def test_an_action_is_told_with_the_last_session_that_it_withholds():
    frame = sound_bars(("AAA",))
    frame.loc[100:, ["open", "high", "low", "close"]] /= 20
    (event,) = events(*judged_from(frame))
    assert event.until == SESSIONS[100 + RESOLVED_SESSIONS - 1].item()


def test_bad_bars_are_told_once_with_their_last_even_where_one_of_them_has_no_close():
    frame = sound_bars(("AAA",))
    frame.loc[100:104, ["open", "high", "low", "close"]] /= 100
    frame.loc[102, "close"] = np.nan
    (event,) = events(*judged_from(frame))
    assert (event.date, event.until) == (SESSIONS[100].item(), SESSIONS[104].item())


def test_two_large_moves_in_a_row_are_two():
    frame = sound_bars(("AAA",))
    for at in (100, 101):
        frame.loc[at:, ["open", "high", "low", "close"]] *= 0.5
        frame.loc[at, "high"] = frame.loc[at, "close"] * 1.8
    frame.loc[100:101, "volume"] *= 20
    told = [(event.date, event.verdict) for event in events(*judged_from(frame))]
    assert told == [(SESSIONS[100].item(), "kept"), (SESSIONS[101].item(), "kept")]


def test_missing_sessions_count_against_coverage_between_first_and_last_bar_only():
    frame = sound_bars(("AAA",)).iloc[50:150].drop(index=range(60, 70))
    bars, judged = judged_from(frame)
    assert coverage(bars, judged.kept, None, len(SESSIONS))[0] == pytest.approx(0.9)


def test_only_members_count_for_coverage():
    frame = sound_bars(("AAA", "BBB"))
    frame.loc[frame["ticker"] == "BBB", "close"] = np.nan
    bars, judged = judged_from(frame)
    member = np.zeros((len(SESSIONS), 2), bool)
    member[:, 0] = True
    assert coverage(bars, judged.kept, member, len(SESSIONS))[0] == 1.0


@pytest.fixture(scope="module")
def five_years(market_data):
    source = open_source(PricesConfig(source="parquet", prices=str(market_data / "sp500_2013_2018.parquet")))
    frame = source.fetch((), None, None)
    sessions = sessions_between("XNYS", frame["date"].min().date(), frame["date"].max().date())
    bars = bars_of(frame, sessions)
    return bars, judge(bars)


def named(bars, mask):
    return {f"{bars.tickers[bars.ticker[at]]} {bars.day[at]}" for at in np.flatnonzero(mask)}


def test_the_eleven_known_bars_outside_their_range_are_found(five_years, market_data):
    bars, judged = five_years
    known = pd.read_csv(market_data / "sp500_2013_2018_defects.csv")
    known = known[known["type"] == "open_or_close_outside_high_low_kept"]
    assert named(bars, judged.columns["outside_range"]) == set(known["ticker"] + " " + known["date"])


def test_the_known_spin_offs_are_found_and_history_before_them_stays(five_years):
    bars, judged = five_years
    known = {"BAX 2015-07-01", "DISCA 2014-08-07", "DISCK 2014-08-07", "EBAY 2015-07-20", "NI 2015-07-02"}
    assert known < named(bars, judged.jumps.action)
    baxter = bars.ticker == bars.tickers.index("BAX")
    assert judged.kept[baxter].all()


def test_the_bad_row_of_lnt_is_set_aside_and_the_session_after_it_stays(five_years):
    bars, judged = five_years
    lnt = bars.tickers.index("LNT")
    away = (bars.ticker == lnt) & ~judged.kept
    assert [str(day) for day in bars.day[away]] == ["2016-05-19"]


def test_of_five_real_years_no_bar_is_away_but_the_known_and_those_between_a_jump_and_its_return(five_years):
    bars, judged = five_years
    reasons = {entry.reason for entry in excluded_bars(bars, judged)}
    assert reasons == {"outside its low and high", "between a jump and its return"}
    assert np.count_nonzero(judged.jumps.bad) < 20


def test_real_crashes_stay_and_at_most_two_of_a_hundred_true_gaps_are_withheld(market_data):
    frame = open_source(PricesConfig(source="parquet", prices=str(market_data / "sp500_2000_2024.parquet")), "").fetch(
        (), None, None
    )
    bars = bars_of(frame, sessions_between("XNYS", frame["date"].min().date(), frame["date"].max().date()))
    judged = judge(bars)
    confirmed = named(bars, judged.jumps.confirmed)
    assert {"AIG 2008-09-15", "MS 2008-10-13", "PCG 2019-01-14", "STT 2009-01-20"} < confirmed
    assert judged.kept[judged.jumps.confirmed].all()
    before = np.r_[np.nan, bars.price[:-1]]
    gap = bars.fields["open"] * bars.price / bars.fields["close"] / before - 1
    wide = (np.abs(gap) > 0.15) & (bars.ticker == np.r_[-1, bars.ticker[:-1]])
    assert np.count_nonzero(wide) > 900
    assert np.count_nonzero(wide & (judged.jumps.action | judged.jumps.bad)) <= 0.02 * np.count_nonzero(wide)
    assert (judged.columns["common_step"] == 1).all()
