"""Tiingo's Python client with a local server: recorded formats of answers, invented numbers."""

import logging
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import ConfigError, DataRejectedError, TransientError
from foundry_tasks.data import live_source
from foundry_tasks.data.price_source import open_source
from foundry_tasks.data.snapshots import refreshed
from foundry_tasks.data.sources.live import tiingo
from tests.price_servers import ReplyError, hang, too_many

START, END = date(2021, 6, 1), date(2021, 6, 29)
COLUMNS = ["date", "ticker", "open", "high", "low", "close", "adj_close", "volume"]
CONFIG = PricesConfig(source="tiingo", tickers=("AAA", "BBB"), overlap_sessions=5, start=date(2021, 1, 4))


@pytest.fixture
def keyed(servers, make_io):
    """A StageIO with a valid key."""
    return lambda run_id="run": make_io(run_id, {"tiingo_api_key": servers.key})


def fetched(io, tickers=("AAA", "BBB")):
    source = open_source(CONFIG, io=io)
    return source, source.fetch(list(tickers), START, END)


def same_bars(table, bars, first=START, last=END):
    wanted = bars[(bars["date"] >= pd.Timestamp(first)) & (bars["date"] <= pd.Timestamp(last))]
    keys = ["ticker", "date"]
    pd.testing.assert_frame_equal(
        table.sort_values(keys)[COLUMNS].reset_index(drop=True),
        wanted.sort_values(keys)[COLUMNS].reset_index(drop=True),
        check_dtype=False,
        rtol=1e-12,
    )


def test_bars_arrive_as_they_were_sent(servers, keyed):
    io = keyed()
    source, table = fetched(io)
    same_bars(table, servers.bars)
    assert (source.silent, source.fingerprint(), source.last_date()) == ({}, None, None)
    assert sorted(io.steps.progress.notes) == ["AAA", "BBB"]
    assert set(servers.asked.values()) == {1}


# ---------------------------------------------------------------- the key
@pytest.mark.parametrize("secrets", [{}, {"tiingo_api_key": ""}])
def test_there_is_no_asking_without_a_key(servers, make_io, secrets, monkeypatch):
    monkeypatch.setenv("TIINGO_API_KEY", servers.key)  # ignored: secrets are files
    with pytest.raises(ConfigError, match=r"needs a key\. Lay it as tiingo_api_key into the folder FOUNDRY_SECRETS"):
        fetched(make_io(secrets=secrets))
    assert not servers.asked


def test_a_wrong_key_ends_the_run_and_is_not_repeated_in_the_line(servers, make_io):
    with pytest.raises(ConfigError, match=r"refuses the key: Invalid token\. Correct tiingo_api_key") as caught:
        fetched(make_io(secrets={"tiingo_api_key": "wr0ng"}))
    assert "wr0ng" not in str(caught.value)


def test_the_source_is_opened_without_a_key_to_see_that_it_is_live():
    assert open_source(CONFIG).fingerprint() is None
    with pytest.raises(ConfigError, match="source='tiingo' needs tickers"):
        open_source(PricesConfig(source="tiingo"))


# ---------------------------------------------------------------- trouble
def test_a_rate_limit_that_passes_is_waited_for(servers, keyed):
    servers.trouble = too_many(times=1)
    same_bars(fetched(keyed())[1], servers.bars)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (
            (429, {"detail": "Error: You have run over your hourly request allocation."}),
            "over your hourly request allocation",
        ),
        ((200, {"detail": "Error: You have run over your 500 symbol look up for this month."}), "500 symbol look up"),
        ((502, "<html>bad gateway</html>"), "502 Bad Gateway"),
        ((200, "<html>maintenance</html>"), "did not answer for 2 of 2"),
    ],
)
def test_trouble_that_stays_is_worth_a_retry_of_the_stage(servers, keyed, reply, says):
    def trouble(_):
        raise ReplyError(*reply)

    servers.trouble = trouble
    with pytest.raises(TransientError, match=says) as caught:
        fetched(keyed())
    assert "\n" not in str(caught.value)


def test_a_server_that_hangs_is_a_time_out(servers, keyed, monkeypatch):
    monkeypatch.setattr(tiingo, "_TIMEOUT_S", 0.3)
    monkeypatch.setattr(live_source, "WAITS_S", (0,))
    servers.trouble = hang(60, {"AAA", "BBB"})
    with pytest.raises(TransientError, match="timed out"):
        fetched(keyed())


def test_an_unknown_ticker_is_named_with_tiingos_words_and_nothing_is_logged(servers, keyed, caplog):
    with caplog.at_level(logging.DEBUG):
        source, table = fetched(keyed(), ("AAA", "BBB", "FB"))
    same_bars(table, servers.bars)
    assert source.silent == {"FB": "Error: Ticker 'FB' not found"}
    assert not [record for record in caplog.records if record.name == "root"]


def test_a_ticker_that_ended_before_is_named(servers, keyed):
    servers.bars = servers.bars[(servers.bars["ticker"] == "AAA") | (servers.bars["date"] < "2021-03-01")]
    source, table = fetched(keyed())
    assert set(table["ticker"]) == {"AAA"}
    assert source.silent == {"BBB": "no prices from 2021-06-01 to 2021-06-29"}


def test_a_wrong_list_of_tickers_is_refused_by_name(servers, keyed, tmp_path):
    wanted = CONFIG.model_copy(update={"tickers": ("AAA", "FB", "TWTR")})
    io = keyed()
    with pytest.raises(DataRejectedError, match=r"2 of 3 tickers: FB \(Error: Ticker 'FB' not found\); TWTR"):
        refreshed(wanted, io.store, open_source(wanted, io=io), END, tmp_path)


# ---------------------------------------------------------------- splits and dividends
def unadjusted(bars, splits):
    """Prices as traded: `bars` times all later splits. splits: (ticker, day, ratio)."""
    bars = bars.assign(split=1.0)
    for ticker, day, ratio in splits:
        its = bars["ticker"] == ticker
        before = its & (bars["date"] < pd.Timestamp(day))
        bars.loc[before, ["open", "high", "low", "close"]] *= ratio
        bars.loc[before, "volume"] /= ratio
        bars.loc[its & (bars["date"] == pd.Timestamp(day)), "split"] = ratio
    return bars


@pytest.mark.parametrize("day", ["2021-06-15", "2021-06-29", "2021-06-30"])
def test_bars_are_adjusted_for_every_split_until_today(servers, keyed, day):
    """The last split is after the end of the request."""
    truth = servers.bars.assign(volume=servers.bars["volume"].round(-4))
    servers.bars = unadjusted(truth, [("BBB", day, 10.0), ("BBB", "2021-06-08", 0.05)])
    same_bars(fetched(keyed())[1], truth)


@given(
    closes=st.lists(st.floats(1, 1000), min_size=2, max_size=30),
    ratios=st.lists(st.sampled_from([1.0, 1.0, 1.0, 2.0, 1.5, 0.05, 10.0]), min_size=30, max_size=30),
)
def test_no_split_moves_a_return(closes, ratios):
    """Closes are in today's units for any splits."""
    splits = np.array([1.0, *ratios[: len(closes) - 1]])
    traded = np.array(closes) * np.append(np.cumprod(splits[::-1])[::-1][1:], 1.0)
    days = pd.bdate_range("2021-01-04", periods=len(closes)).strftime("%Y-%m-%dT00:00:00.000Z")
    rows = pd.DataFrame({"date": days, "splitFactor": splits, "adjClose": closes, "volume": 100.0, "close": traded})
    rows = rows.assign(open=traded, high=traded, low=traded).sample(frac=1, random_state=1)
    table = tiingo.split_adjusted(rows, "AAA").sort_values("date")
    np.testing.assert_allclose(table["close"], closes, rtol=1e-9)
    assert table["close"].iloc[-1] == closes[-1]


def test_a_split_overnight_is_fetched_anew(servers, keyed):
    truth = servers.bars.assign(volume=servers.bars["volume"].round(-4))
    io = keyed()
    before = truth[truth["date"] <= "2021-06-22"].copy()
    old_scale = before["ticker"] == "BBB"
    before.loc[old_scale, ["open", "high", "low", "close", "adj_close"]] *= 2
    before.loc[old_scale, "volume"] /= 2
    servers.bars = before
    refreshed(CONFIG, io.store, open_source(CONFIG, io=io), date(2021, 6, 22), io.outputs.workspace)
    servers.bars = unadjusted(truth, [("BBB", "2021-06-23", 2.0)])
    io = keyed("the day after")
    snapshot = refreshed(CONFIG, io.store, open_source(CONFIG, io=io), date(2021, 6, 23), io.outputs.workspace)
    assert snapshot.restated == ("BBB",)
    same_bars(snapshot.table, truth, CONFIG.start, date(2021, 6, 23))
