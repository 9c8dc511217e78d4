"""Snapshots: a live source is asked for missing sessions and an overlap; restated tickers are fetched again."""

import json
from datetime import date

import pandas as pd
import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract import artifacts
from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import TransientError
from foundry_tasks.data.price_source import open_source
from foundry_tasks.data.restatement import restated_tickers, spliced
from foundry_tasks.data.snapshots import refreshed
from foundry_tasks.data.sources.parquet import cut
from tests.market_bars import sound_bars

CONFIG = PricesConfig(source="yfinance", tickers=("AAA", "BBB"), overlap_sessions=5)
FIRST_RUN, SECOND_RUN = date(2021, 6, 1), date(2021, 6, 10)
SINCE = date(2021, 5, 3)


class Exchange:
    """A live source with a table that tests may restate. Records the requests."""

    name = "exchange"
    identity = {"source": "exchange"}  # noqa: RUF012 - a constant

    def __init__(self, table):
        self.table, self.asked, self.silent = table, [], {}

    def fingerprint(self):
        return None

    def last_date(self):
        return None

    def benchmark(self):
        return None

    def fetch(self, tickers, start, end):
        self.asked.append((tuple(tickers), start, end))
        return cut(self.table, tickers, start, end)


@pytest.fixture
def exchange():
    return Exchange(sound_bars(("AAA", "BBB")))


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def refresh(store, source, as_of, tmp_path, config=CONFIG):
    return refreshed(config, store, source, as_of, tmp_path)


def test_the_first_run_fetches_all_and_the_next_only_what_is_missing_and_the_overlap(exchange, store, tmp_path):
    refresh(store, exchange, FIRST_RUN, tmp_path)
    second = refresh(store, exchange, SECOND_RUN, tmp_path)
    assert exchange.asked == [(("AAA", "BBB"), None, FIRST_RUN), (("AAA", "BBB"), date(2021, 5, 25), SECOND_RUN)]
    assert second.restated == ()
    whole = cut(exchange.table, (), None, SECOND_RUN)
    pd.testing.assert_frame_equal(second.table[whole.columns], whole)


def test_a_live_source_is_kept_whole_where_a_run_reads_recent_sessions_alone(exchange, store, tmp_path):
    whole = refresh(store, exchange, FIRST_RUN, tmp_path)
    firsts = []
    recent = refreshed(CONFIG, store, exchange, FIRST_RUN, tmp_path, lambda first: firsts.append(first) or SINCE)
    assert firsts == [date(2020, 1, 2)]
    assert recent.sha256 == whole.sha256
    assert recent.table["date"].min() == pd.Timestamp(SINCE)


def test_a_static_source_is_asked_for_recent_sessions_alone(store, tmp_path):
    config = PricesConfig(source="parquet", prices=str(tmp_path / "bars.parquet"))
    sound_bars(("AAA",)).to_parquet(tmp_path / "bars.parquet")
    recent = refreshed(config, store, open_source(config), FIRST_RUN, tmp_path, lambda _: SINCE)
    assert recent.table["date"].min() == pd.Timestamp(SINCE)


def test_nothing_is_asked_where_nothing_is_missing(exchange, store, tmp_path):
    first = refresh(store, exchange, FIRST_RUN, tmp_path)
    again = refresh(store, exchange, FIRST_RUN, tmp_path)
    assert len(exchange.asked) == 1
    assert again.sha256 == first.sha256


def test_a_restated_ticker_is_fetched_anew_and_named(exchange, store, tmp_path):
    refresh(store, exchange, FIRST_RUN, tmp_path)
    split = (exchange.table["ticker"] == "BBB") & (exchange.table["date"] < "2021-06-03")
    exchange.table.loc[split, ["open", "high", "low", "close"]] /= 2
    second = refresh(store, exchange, SECOND_RUN, tmp_path)
    assert second.restated == ("BBB",)
    assert exchange.asked[-1] == (("BBB",), None, SECOND_RUN)
    pd.testing.assert_frame_equal(second.table, cut(exchange.table, (), None, SECOND_RUN))


def test_a_snapshot_that_a_run_recorded_is_never_changed(exchange, store, tmp_path):
    first = refresh(store, exchange, FIRST_RUN, tmp_path)
    before = store.object_path(first.sha256).read_bytes()
    exchange.table["close"] *= 3
    assert refresh(store, exchange, SECOND_RUN, tmp_path).sha256 != first.sha256
    assert store.object_path(first.sha256).read_bytes() == before


def test_whoever_loses_the_race_for_the_head_begins_again_from_the_winners(exchange, store, tmp_path, monkeypatch):
    refresh(store, exchange, FIRST_RUN, tmp_path)
    swap, rivals = store.swap, [date(2021, 6, 9)]

    def raced(key, expected, data):
        if rivals:
            refresh(store, exchange, rivals.pop(), tmp_path / "rival")
        return swap(key, expected, data)

    (tmp_path / "rival").mkdir()
    monkeypatch.setattr(store, "swap", raced)
    second = refresh(store, exchange, SECOND_RUN, tmp_path)
    assert second.table["date"].max() == pd.Timestamp(SECOND_RUN)
    key = artifacts.head_key("us", artifacts.digest_of({**exchange.identity, "start": "None"}))
    assert json.loads(store.read(key))["snapshot"] == second.sha256


def test_a_head_that_never_stands_still_is_worth_a_retry(exchange, store, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "swap", lambda *_: False)
    with pytest.raises(TransientError, match="keeps moving"):
        refresh(store, exchange, FIRST_RUN, tmp_path)


def test_a_static_source_is_taken_as_it_is_now(store, tmp_path):
    path = tmp_path / "bars.parquet"
    config = PricesConfig(source="parquet", prices=str(path))
    bars = sound_bars(("AAA",))
    bars.to_parquet(path)
    refresh(store, open_source(config), FIRST_RUN, tmp_path, config)
    bars["close"] += 1  # a user corrects the file
    bars.to_parquet(path)
    assert (
        refresh(store, open_source(config), FIRST_RUN, tmp_path, config).table["close"].tolist()
        == bars["close"].tolist()
    )


def test_a_tiny_dividend_restates_and_rounding_does_not():
    kept = sound_bars(("AAA", "BBB")).assign(adj_close=100.0)
    fetched = kept.iloc[-5:].assign(adj_close=100.0 * (1 + 1e-6))
    assert restated_tickers(kept, fetched) == ()
    assert restated_tickers(kept, fetched.assign(adj_close=99.99)) == ("BBB",)


def test_a_ticker_that_was_never_kept_is_fetched_whole():
    kept = sound_bars(("AAA",))
    assert restated_tickers(kept, sound_bars(("AAA", "NEW")).iloc[-3:]) == ("NEW",)


def test_old_and_new_scales_are_never_mixed_where_the_source_falls_silent():
    kept = sound_bars(("AAA", "BBB"))
    fetched = sound_bars(("AAA", "BBB")).assign(close=1.0)
    anew = sound_bars(("AAA",)).assign(close=2.0)
    table = spliced(kept, fetched, anew, ("AAA", "BBB"))
    assert (table.loc[table["ticker"] == "AAA", "close"] == 2.0).all()
    assert table.loc[table["ticker"] == "BBB", "close"].tolist() == kept.loc[kept["ticker"] == "BBB", "close"].tolist()
