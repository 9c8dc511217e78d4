"""Failures of single requests: every ticker has bars or a reason, and received bars are not requested again."""

import time
from collections import Counter
from threading import Event

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.errors import ConfigError, TransientError
from foundry_tasks.data import live_source
from foundry_tasks.data.live_source import BusyError, NoBarsError, allowed, by_reason, gather

QUESTION = {"source": "test"}


def bars_of(ticker):
    return pd.DataFrame(
        {"date": pd.to_datetime(["2021-06-30"]).astype("datetime64[s]"), "ticker": [ticker], "close": [1.0]}
    )


class Market:
    """behaviour: ticker → number of requests that fail before the answer; None: it has no bars."""

    def __init__(self, behaviour):
        self.behaviour, self.asked = behaviour, Counter()

    def __call__(self, ticker):
        self.asked[ticker] += 1
        failures = self.behaviour[ticker]
        if failures is None:
            raise NoBarsError("unknown here")
        if self.asked[ticker] <= failures:
            raise BusyError("Too Many Requests")
        return bars_of(ticker)


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    found = []
    monkeypatch.setattr(live_source.time, "sleep", found.append)
    return found


@given(st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 5, None]), min_size=1, max_size=60))
def test_every_ticker_has_its_bars_or_a_reason_or_the_fetch_is_worth_a_retry(failures):
    market = Market({f"T{at:02}": count for at, count in enumerate(failures)})
    lost = [ticker for ticker, count in market.behaviour.items() if count == 5]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_source.time, "sleep", lambda _: None)
        patch.setattr(live_source, "FAILURES_IN_A_ROW", 1000)
        if len(lost) > allowed(len(failures)):
            with pytest.raises(TransientError, match=f"did not answer for {len(lost)} of {len(failures)} tickers"):
                gather("test", market, list(market.behaviour), QUESTION, None)
            return
        table, silent = gather("test", market, list(market.behaviour), QUESTION, None)
    assert set(table["ticker"]) | set(silent) == set(market.behaviour)
    assert table["ticker"].is_monotonic_increasing, "the order of the answers is chance"
    assert set(silent) == {ticker for ticker, count in market.behaviour.items() if count in {None, 5}}
    for ticker, count in market.behaviour.items():
        assert market.asked[ticker] == (1 if count is None else min(count + 1, len(live_source.WAITS_S)))


def test_whoever_refuses_everybody_is_asked_a_bounded_number_of_times(waits):
    market = Market({f"T{at:03}": 10**9 for at in range(500)})
    with pytest.raises(
        TransientError, match=r"did not answer for 500 of 500 tickers, T000, .* and 495 more: Too Many Requests"
    ):
        gather("test", market, list(market.behaviour), QUESTION, None)
    assert market.asked.total() <= len(live_source.WAITS_S) * (live_source.FAILURES_IN_A_ROW + 2 * live_source.WORKERS)
    assert waits == list(live_source.WAITS_S)


def test_no_ticker_is_asked_for_once_the_time_is_up(monkeypatch):
    monkeypatch.setattr(live_source, "BUDGET_S", 0.2)
    market = Market({f"T{at:03}": 0 for at in range(500)})
    pause = time.monotonic

    def slow(ticker):
        until = pause() + 0.02
        while pause() < until:
            pass
        return market(ticker)

    with pytest.raises(TransientError, match="not requested within the time limit"):
        gather("test", slow, list(market.behaviour), QUESTION, None)
    assert market.asked.total() < 100


def test_an_error_that_no_retry_mends_ends_the_fetch_and_what_arrived_is_kept(make_io):
    """The error comes once all other answers are in: which of two that are both there is taken first, is chance."""
    market, io, pause = Market({f"T{at:02}": 0 for at in range(30)}), make_io(), Event()

    def refused(ticker):
        if ticker == "T20":
            while len(io.steps.progress.notes) < 29:
                pause.wait(0.01)
            raise ConfigError("the key is wrong.")
        return market(ticker)

    with pytest.raises(ConfigError, match="the key is wrong"):
        gather("test", refused, list(market.behaviour), QUESTION, io)
    table, _ = gather("test", market, list(market.behaviour), QUESTION, make_io())
    assert table["ticker"].nunique() == 30
    assert market.asked == dict.fromkeys(market.behaviour, 1)


def test_a_retry_of_the_run_asks_for_the_rest_and_another_run_for_all(make_io):
    market = Market({f"T{at:03}": 10**9 if at % 4 == 3 else 0 for at in range(120)})
    with pytest.raises(TransientError, match="What arrived is kept for this run"):
        gather("test", market, list(market.behaviour), QUESTION, make_io())
    market.behaviour = dict.fromkeys(market.behaviour, 0)
    table, silent = gather("test", market, list(market.behaviour), QUESTION, make_io())
    assert sorted(table["ticker"]) == list(market.behaviour)
    assert not silent
    assert all(market.asked[f"T{at:03}"] == 1 for at in range(120) if at % 4 != 3)
    market.asked.clear()
    gather("test", market, list(market.behaviour), QUESTION, make_io("another"))
    gather("test", market, list(market.behaviour), {**QUESTION, "end": "2021-07-01"}, make_io())
    assert set(market.asked.values()) == {2}


def test_progress_counts_every_ticker_once(make_io):
    io = make_io()
    gather("test", Market({"A": 0, "B": 1, "C": None, "D": 9}), ["A", "B", "C", "D"], QUESTION, io)
    assert (io.steps.progress.total, sorted(io.steps.progress.notes)) == (4, ["A", "B", "C", "D: no answer"])


def test_reasons_are_grouped():
    assert by_reason({"C": "gone", "B": "late", "A": "gone"}) == "A, C (gone); B (late)"
