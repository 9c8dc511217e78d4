"""Every bar gets one verdict, and on real data the known defects are found by name."""

import numpy as np
import pandas as pd
import pytest

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.data.assembly import build_panel
from foundry_tasks.data.judgement import bars_of, coverage, judge, set_aside
from foundry_tasks.data.price_source import open_source
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
    assert set_aside(bars, judged) == []


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
    assert set_aside(bars, judged) == [
        {"reason": "outside its low and high", "ticker": "AAA", "bars": 1, "first": "2020-01-16", "last": "2020-01-16"}
    ]


def test_history_before_an_unadjusted_split_is_set_aside_and_the_ticker_goes_on():
    frame = sound_bars(("AAA", "BBB"))
    frame.loc[:99, ["open", "high", "low", "close"]] *= 2
    bars, judged = judged_from(frame)
    panel = build_panel(bars, judged, SESSIONS, None, {"AAA": "Energy"})
    assert panel.tickers == ("AAA", "BBB")
    assert panel.member[:, 0].tolist() == [False] * 100 + [True] * (len(SESSIONS) - 100)
    assert panel.sectors == ("Energy", "")
    share, each = coverage(bars, judged.kept, None, len(SESSIONS))
    assert share == pytest.approx(1 - 100 / (2 * len(SESSIONS)))
    assert each[1] == 1.0


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


def test_the_known_spin_offs_are_found_and_no_real_move_is_taken_for_one(five_years):
    bars, judged = five_years
    assert named(bars, judged.columns["unadjusted_action"]) == {
        "BAX 2015-07-01", "DISCA 2014-08-07", "DISCK 2014-08-07", "EBAY 2015-07-20", "NI 2015-07-02",
    }  # fmt: skip


def test_the_bad_row_of_lnt_is_set_aside_and_the_session_after_it_stays(five_years):
    bars, judged = five_years
    lnt = bars.tickers.index("LNT")
    away = (bars.ticker == lnt) & ~judged.kept
    assert [str(day) for day in bars.day[away]] == ["2016-05-19"]


def test_beyond_sixty_per_cent_remains_only_what_is_real_and_is_set_aside_by_name(five_years):
    bars, judged = five_years
    assert named(bars, np.abs(judged.columns["move"]) > 0.6) == {"VRTX 2013-04-19"}
    assert "VRTX 2013-04-19" in named(bars, ~judged.kept)
