"""Membership is point in time if a file gives dates; the report says which kind is used."""

import numpy as np
import pytest

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.panel import PricePanel
from foundry_tasks.data.universe import (
    NOT_POINT_IN_TIME,
    first_to_last_bar,
    read_universe,
    survivorship,
    universe_index,
)

SESSIONS = np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]")


def universe(folder, lines):
    path = folder / "members.csv"
    path.write_text("Ticker,Start_Date,End_Date\n" + "\n".join(lines) + "\n")
    return read_universe(path)


def test_a_ticker_belongs_from_its_first_to_its_last_date_and_may_come_back(tmp_path):
    found = universe(tmp_path, ["A,2019-05-01,2020-01-02", "A,2020-01-09,", "B,2020-01-05,2020-01-06"])
    member = found.members(SESSIONS, ("A", "B", "C"))
    assert np.flatnonzero(member[:, 0]).tolist() == [0, 1, 8, 9]
    assert np.flatnonzero(member[:, 1]).tolist() == [4, 5]
    assert not member[:, 2].any()


def test_share_classes_may_be_written_with_a_dot_or_a_dash(tmp_path):
    assert universe(tmp_path, ["BRK.B,2019-05-01,"]).members(SESSIONS, ("BRK-B",)).all()


def test_an_end_in_the_year_9999_is_no_end(tmp_path):
    assert universe(tmp_path, ["A,2019-05-01,9999-12-31"]).members(SESSIONS, ("A",)).all()


def test_a_ticker_called_na_is_a_member(tmp_path):
    assert universe(tmp_path, ["NA,2019-05-01,"]).members(SESSIONS, ("NA",)).all()


def test_without_a_file_a_ticker_belongs_from_its_first_to_its_last_bar():
    has_bar = np.array([[0, 0], [1, 0], [0, 0], [1, 0], [0, 0]], bool)
    assert first_to_last_bar(has_bar).tolist() == [
        [False, False],
        [True, False],
        [True, False],
        [True, False],
        [False, False],
    ]


def test_the_report_says_what_share_of_the_universe_has_prices(tmp_path):
    found = universe(tmp_path, ["A,2019-05-01,", "GONE,2019-05-01,2020-01-10"])
    assert survivorship(found, 10, SESSIONS) == (
        "point in time from members.csv; prices for 50.0% of its ticker-sessions, so survivorship bias remains"
    )
    assert (
        survivorship(found, 20, SESSIONS) == "point in time from members.csv; prices for 100.0% of its ticker-sessions"
    )
    assert survivorship(None, 20, SESSIONS) == NOT_POINT_IN_TIME


def test_a_member_without_a_first_date_belongs_from_the_beginning_and_the_report_says_so(tmp_path):
    found = universe(tmp_path, ["A,,", "B,2020-01-09,", "C,,2020-01-02"])
    member = found.members(SESSIONS, ("A", "B", "C"))
    assert member.sum(axis=0).tolist() == [10, 2, 2]
    assert survivorship(found, 14, SESSIONS) == (
        "not fully point in time: 2 of 3 memberships in members.csv have no start date and count from the beginning, so "
        "survivorship bias remains; prices for 100.0% of its ticker-sessions"
    )


def test_a_list_of_tickers_is_a_universe_that_is_not_point_in_time(tmp_path):
    (tmp_path / "members.csv").write_text(
        "Symbol,Name,Market Cap\nBRK.B,Berkshire Hathaway,1100000000\nNA,National,20150101\n"
    )
    found = read_universe(tmp_path / "members.csv")
    assert found.members(SESSIONS, ("NA", "BRK-B")).all()
    assert survivorship(found, 10, SESSIONS) == (
        "not point in time: survivorship bias, since members.csv gives no start dates; prices for 50.0% of its ticker-sessions"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ticker,start_date\nA,2020-01-01\n", "no column end_date"),
        ("ticker,since\nA,2020-01-01\n", "no column start_date; since holds dates"),
        ("ticker,start_date,end_date\n,2020-01-01,\nA,2020-01-01,\n", r"1 line\(s\) without a ticker"),
        (
            "ticker,start_date,from,end_date\nA,2020-01-01,2019-01-01,\n",
            "columns start_date, from compete for the role",
        ),
    ],
)
def test_a_universe_that_says_half_of_it_is_refused_by_name(tmp_path, text, says):
    (tmp_path / "members.csv").write_text(text)
    with pytest.raises(DataRejectedError, match=says):
        read_universe(tmp_path / "members.csv")


def test_a_ticker_in_two_spellings_is_counted_once(tmp_path):
    assert universe(tmp_path, ["BRK.B,2019-01-01,", "BRK-B,2019-01-01,"]).size(SESSIONS) == len(SESSIONS)


def test_the_real_membership_had_about_500_members_on_any_day(market_data):
    found = read_universe(market_data / "sp500_membership_start_end.csv")
    days = np.array(["2005-01-03", "2010-01-04", "2020-01-02"], "datetime64[D]")
    assert found.members(days, sorted(set(found.tickers))).sum(axis=1) == pytest.approx([500, 500, 505], abs=6)


def test_an_interval_without_a_beginning_is_no_interval(tmp_path):
    with pytest.raises(DataRejectedError, match="holds no membership"):
        universe(tmp_path, [",2019-05-01,"])


def panel(close, member):
    tickers = tuple("ABCD"[: close.shape[1]])
    return PricePanel(SESSIONS[: len(close)], tickers, {"close": close}, member, ("",) * len(tickers))


def test_the_stand_in_for_a_benchmark_is_the_mean_return_of_yesterdays_members():
    close = np.array([[10.0, 20.0, 5.0], [11.0, 20.0, 50.0], [11.0, 22.0, np.nan]])
    member = np.array([[True, True, False], [True, True, True], [True, True, True]])
    assert universe_index(panel(close, member)) == pytest.approx([100, 105, 105 * 1.05])


def test_one_ticker_is_not_its_own_benchmark():
    assert universe_index(panel(np.ones((3, 1)), np.ones((3, 1), bool))) is None
