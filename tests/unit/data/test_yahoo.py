"""yfinance with local servers: recorded formats of Yahoo's answers, invented numbers."""

from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import ConfigError, DataRejectedError, TransientError
from foundry_tasks.data import live_source
from foundry_tasks.data.price_source import open_source
from foundry_tasks.data.snapshots import refreshed
from foundry_tasks.data.sources.live import yfinance as yahoo_source
from tests.market_bars import sound_bars
from tests.price_servers import ReplyError, hang, too_many

START, END = date(2021, 6, 1), date(2021, 6, 30)
COLUMNS = ["date", "ticker", "open", "high", "low", "close", "adj_close", "volume"]

pytestmark = pytest.mark.slow(35)


def market(count, first=date(2021, 1, 4)):
    bars = sound_bars(tuple(f"T{at:03}" for at in range(count)), first=first)
    return bars.assign(adj_close=bars["close"] * 0.98)


def config(tickers, **others):
    return PricesConfig(source="yfinance", tickers=tuple(tickers), overlap_sessions=5, start=date(2021, 1, 4), **others)


def source_of(servers, io=None):
    return open_source(config(servers.bars["ticker"].unique()), io=io)


def fetched(servers, tickers=None, io=None):
    """Source and table of one fetch."""
    source = source_of(servers, io)
    return source, source.fetch(tickers or servers.bars["ticker"].unique().tolist(), START, END)


def same_bars(table, bars):
    wanted = bars[(bars["date"] >= pd.Timestamp(START)) & (bars["date"] <= pd.Timestamp(END))]
    keys = ["ticker", "date"]
    pd.testing.assert_frame_equal(
        table.sort_values(keys)[COLUMNS].reset_index(drop=True),
        wanted.sort_values(keys)[COLUMNS].reset_index(drop=True),
        check_dtype=False,
        rtol=1e-12,
    )


def test_bars_arrive_as_they_were_sent(servers):
    source, table = fetched(servers)
    same_bars(table, servers.bars)
    assert source.silent == {}
    assert set(servers.asked.values()) == {1}


def test_yfinance_is_live_and_needs_to_know_whom_to_ask():
    source = open_source(config(["AAA"]))
    assert (source.fingerprint(), source.last_date(), source.first_date(()), source.benchmark()) == (None,) * 4
    with pytest.raises(ConfigError, match="needs tickers"):
        open_source(PricesConfig(source="yfinance"))


# ---------------------------------------------------------------- trouble
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_that_is_busy_for_a_while_is_asked_again(servers, status):
    left = {"AAA": 6, "BBB": 0}

    def trouble(ticker):
        if left.get(ticker, 0) > 0:
            left[ticker] -= 1
            raise ReplyError(status, "<html>busy</html>")

    servers.trouble = trouble
    _, table = fetched(servers)
    same_bars(table, servers.bars)


def test_a_rate_limit_that_does_not_end_is_worth_a_retry_of_the_stage(servers, make_io):
    servers.bars = market(60)
    servers.trouble = too_many()
    with pytest.raises(TransientError, match=r"did not answer for 60 of 60 tickers.*Too Many Requests") as caught:
        fetched(servers, io=make_io())
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert servers.asked.total() <= 2 * 4 * (live_source.FAILURES_IN_A_ROW + 2 * live_source.WORKERS)


def test_a_crumb_that_is_refused_does_not_matter(servers):
    servers.trouble = too_many({"/v1/test/getcrumb"})
    _, table = fetched(servers)
    same_bars(table, servers.bars)


def test_a_renamed_or_delisted_ticker_is_named_with_yahoos_words(servers):
    source, table = fetched(servers, ["AAA", "BBB", "FB"])
    same_bars(table, servers.bars)
    assert source.silent == {"FB": "No data found, symbol may be delisted"}


def test_a_ticker_that_has_ended_keeps_its_reason(servers):
    servers.bars = servers.bars[(servers.bars["ticker"] == "AAA") | (servers.bars["date"] < "2021-03-01")]
    source, table = fetched(servers)
    assert set(table["ticker"]) == {"AAA"}
    assert source.silent["BBB"].startswith("Data doesn't exist for startDate")


def test_empty_answers_for_some_tickers_leave_the_others(servers, make_io):
    servers.bars = market(40)

    def trouble(ticker):
        if ticker in {"T007", "T011"}:
            empty = {
                "meta": {"exchangeTimezoneName": "America/New_York"},
                "indicators": {"quote": [{}], "adjclose": [{}]},
            }
            raise ReplyError(200, {"chart": {"result": [empty], "error": None}})

    servers.trouble = trouble
    source, table = fetched(servers, io=make_io())
    same_bars(table, servers.bars[~servers.bars["ticker"].isin(["T007", "T011"])])
    assert set(source.silent) == {"T007", "T011"}
    assert "no price data found" in source.silent["T007"]


def test_a_wrong_list_of_tickers_is_refused_by_name(servers, make_io, tmp_path):
    io = make_io()
    wanted = config(["AAA", "BBB", "FB", "TWTR"])
    with pytest.raises(DataRejectedError, match=r"2 of 4 tickers: FB, TWTR \(No data found, symbol may be delisted\)"):
        refreshed(wanted, io.store, open_source(wanted, io=io), END, tmp_path)


def test_a_time_out_in_the_middle_of_500_tickers_leaves_what_arrived(servers, make_io, monkeypatch):
    """Who has no answer for 1.6 s is given up, and only who never gets one: others may take as long as the machine needs."""
    import yfinance  # noqa: PLC0415 - it is slow to import

    monkeypatch.setattr(yahoo_source, "_TIMEOUT_S", 60)
    monkeypatch.setattr(live_source, "WAITS_S", (0, 0.01))
    servers.bars = market(500, first=date(2021, 5, 25))
    tickers = servers.bars["ticker"].unique().tolist()
    silent, history = set(tickers[250:]), yfinance.Ticker.history

    def impatient(self, **asked):
        return history(self, **asked | ({"timeout": 1.6} if self.ticker in silent else {}))

    monkeypatch.setattr(yfinance.Ticker, "history", impatient)
    for_ever = hang(60, silent)
    servers.trouble = lambda ticker: servers.asked[ticker] and for_ever(ticker)  # asked for bars, not for its time zone
    with pytest.raises(TransientError, match=r"did not answer for 250 of 500 tickers.*timed out.*kept for this run"):
        fetched(servers, io=make_io())
    servers.trouble = lambda _: None
    before = servers.asked.copy()
    io = make_io()
    _, table = fetched(servers, io=io)
    same_bars(table, servers.bars)
    assert all(servers.asked[ticker] == before[ticker] for ticker in tickers[:250])
    assert io.steps.progress.total == len(io.steps.progress.notes) == 250


# ---------------------------------------------------------------- days
def test_the_unfinished_bar_of_today_is_left_out(servers):
    last = servers.bars["date"] == pd.Timestamp(END)
    servers.bars.loc[last, ["open", "high", "low", "close", "adj_close", "volume"]] = np.nan
    _, table = fetched(servers)
    same_bars(table, servers.bars[~last])


def test_a_bar_with_a_volume_and_no_close_is_left_out(servers):
    last = servers.bars["date"] == pd.Timestamp(END)
    servers.bars.loc[last, ["close", "adj_close"]] = np.nan
    _, table = fetched(servers)
    same_bars(table, servers.bars[~last])


@pytest.mark.parametrize("kind", ["daily", "instead", "beside"])
@pytest.mark.parametrize("day", [date(2020, 11, 27), date(2020, 12, 24)], ids=str)
def test_a_half_day_is_one_bar_of_its_date(servers, kind, day):
    servers.bars = servers.bars[servers.bars["date"] <= pd.Timestamp(day)]
    servers.live = kind
    table = source_of(servers).fetch(["AAA"], date(2020, 11, 16), day)
    wanted = servers.bars[(servers.bars["ticker"] == "AAA") & (servers.bars["date"] >= "2020-11-16")]
    assert table["date"].tolist() == wanted["date"].tolist()
    np.testing.assert_allclose(table["close"], wanted["close"])


@pytest.mark.parametrize("ratio", [2, 1.5, 0.05, 1.02])
def test_a_split_or_dividend_overnight_is_fetched_anew(servers, make_io, ratio):
    """ratio: of shares; 1.02 stands for a dividend, which changes only the adjusted close."""
    wanted, io = config(["AAA", "BBB"]), make_io()
    truth = servers.bars
    servers.bars = truth[truth["date"] <= "2021-06-22"]
    refreshed(wanted, io.store, open_source(wanted, io=io), date(2021, 6, 22), io.outputs.workspace)
    past = (truth["ticker"] == "BBB") & (truth["date"] <= "2021-06-22")
    moved = ["adj_close"] if ratio == 1.02 else ["open", "high", "low", "close", "adj_close"]
    servers.bars = truth.copy()
    servers.bars.loc[past, moved] /= ratio
    io = make_io("the day after")
    snapshot = refreshed(wanted, io.store, open_source(wanted, io=io), date(2021, 6, 23), io.outputs.workspace)
    assert snapshot.restated == ("BBB",)
    now = servers.bars[(servers.bars["date"] >= "2021-01-04") & (servers.bars["date"] <= "2021-06-23")]
    pd.testing.assert_frame_equal(snapshot.table[COLUMNS], now[COLUMNS].reset_index(drop=True), check_dtype=False)


def test_a_ticker_that_was_silent_for_longer_than_the_overlap_has_no_gap(servers, make_io):
    wanted = config(["AAA", "BBB"])
    truth = servers.bars
    days = [date(2021, 3, 1), date(2021, 4, 1), date(2021, 5, 3)]
    for number, day in enumerate(days):
        silent = number == 1
        servers.bars = truth[
            (truth["date"] <= pd.Timestamp(day)) & (~pd.Series(silent, truth.index) | (truth["ticker"] == "AAA"))
        ]
        io = make_io(f"run {number}")
        found = refreshed(wanted, io.store, open_source(wanted, io=io), day, io.outputs.workspace).table
    held = found[found["ticker"] == "BBB"]["date"].tolist()
    assert all((later - earlier).days <= 5 for earlier, later in pairwise(held))
    assert (
        held
        == truth[(truth["ticker"] == "BBB") & (truth["date"] <= "2021-05-03") & (truth["date"] >= "2021-01-04")][
            "date"
        ].tolist()
    )


def test_where_nobody_has_a_newer_bar_what_was_kept_stays(servers, make_io):
    wanted, truth = config(["AAA", "BBB"]), servers.bars
    servers.bars = truth[truth["date"] <= "2021-06-22"]
    io = make_io()
    first = refreshed(wanted, io.store, open_source(wanted, io=io), date(2021, 6, 22), io.outputs.workspace)
    servers.bars = truth[truth["date"] < "2021-06-01"]
    io = make_io("the day after")
    source = open_source(wanted, io=io)
    second = refreshed(wanted, io.store, source, date(2021, 6, 23), io.outputs.workspace)
    pd.testing.assert_frame_equal(second.table, first.table)
    assert set(source.silent) == {"AAA", "BBB"}
