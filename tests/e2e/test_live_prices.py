"""The prices stage on live sources: real clients, local servers."""

import json
from dataclasses import replace

import pytest

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.contract.user_files import UserFiles
from tests.market_bars import LAST, TICKERS, sound_bars
from tests.price_servers import ReplyError, reachable

pytestmark = pytest.mark.slow(15)
BOTH = {"source": "yfinance", "tickers": TICKERS, "cross_check": "tiingo"}


@pytest.fixture
def servers(tmp_path, monkeypatch):
    bars = sound_bars().assign(adj_close=lambda table: table["close"] * 0.98)
    with reachable(tmp_path / "servers", bars, monkeypatch) as running:
        yield running


@pytest.fixture
def keyed(servers, make_io):
    def make(**others):
        io = make_io(as_of=LAST, **others)
        files = UserFiles(secret={"tiingo_api_key": servers.key}.get)
        return replace(io, environment=replace(io.environment, files=files))

    return make


def checked(io):
    return [line for line in io.outputs.warnings if line.startswith("cross_check")]


def test_two_sources_that_agree_say_nothing(servers, keyed, run_prices):
    io = run_prices(keyed(), **BOTH)
    assert checked(io) == []
    about = json.loads(io.store.object_path(io.outputs.artifacts["prices.json"].sha256).read_bytes())
    assert (about["source"], about["as_of"], about["tickers"]) == ("yfinance", LAST.isoformat(), 8)
    assert servers.asked == dict.fromkeys(TICKERS, 2)


def test_a_close_that_differs_is_named_with_both_values(servers, keyed, run_prices):
    servers.elsewhere = servers.bars.copy()
    at = (servers.bars["ticker"] == "CCC") & (servers.bars["date"] == str(LAST))
    servers.elsewhere.loc[at, "close"] *= 1.02
    (line,) = checked(run_prices(keyed(), **BOTH))
    ours, theirs = (f"{table.loc[at, 'close'].item():.6g}" for table in (servers.bars, servers.elsewhere))
    assert line == (
        f"cross_check: 1 of 24 closes of yfinance differ from tiingo by more than 0.5%: CCC 2021-06-30 {ours} against {theirs}."
    )


@pytest.mark.parametrize(
    ("reply", "says"),
    [((429, {"detail": "over the limit"}), "over the limit"), ((401, {"detail": "Invalid token."}), "refuses the key")],
)
def test_the_second_source_is_never_a_failure(servers, keyed, run_prices, reply, says):
    answer = servers.tiingo

    def refused(*question):
        answer(*question)
        raise ReplyError(*reply)

    servers.tiingo = refused
    (line,) = checked(run_prices(keyed(), **BOTH))
    assert says in line
    assert line.endswith("Nothing was compared.")


def test_a_second_source_without_a_key_is_said(servers, make_io, run_prices):
    (line,) = checked(run_prices(make_io(as_of=LAST), **BOTH))
    assert "needs a key" in line


def test_a_silent_ticker_is_named_with_its_reason_and_many_are_refused(servers, keyed, run_prices):
    io = run_prices(keyed(), source="yfinance", tickers=(*TICKERS, "TWTR"))
    assert (
        "prices: yfinance gave no bars of TWTR (No data found, symbol may be delisted); earlier bars are kept."
        in io.outputs.warnings
    )
    with pytest.raises(DataRejectedError, match=r"2 of 10 tickers: FB, TWTR \(No data found, symbol may be delisted\)"):
        run_prices(keyed(run_id="another"), source="yfinance", tickers=(*TICKERS, "TWTR", "FB"))
