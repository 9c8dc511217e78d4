"""The prices stage on real data, through a real store and real expectations."""

import json
from datetime import date

import numpy as np
import pytest

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.tables import read_prices
from foundry_tasks.stages import prices
from tests.market_bars import LAST, sound_bars

pytestmark = pytest.mark.slow(6)


def about(io):
    return json.loads(io.store.object_path(io.outputs.artifacts["prices.json"].sha256).read_bytes())


def panel(io):
    return read_prices(io.store.object_path(io.outputs.artifacts["prices.parquet"].sha256))


@pytest.fixture
def config(tmp_path):
    sound_bars().to_parquet(tmp_path / "bars.parquet")
    return {"source": "parquet", "prices": str(tmp_path / "bars.parquet")}


def test_the_same_prices_give_the_same_digests_in_every_run(config, make_io, run_prices):
    first, second = run_prices(make_io("one"), **config), run_prices(make_io("two"), **config)
    assert first.outputs.artifacts == second.outputs.artifacts


def test_a_static_source_takes_its_own_last_session_as_as_of(config, make_io, run_prices):
    assert run_prices(make_io(as_of=date(2026, 11, 19)), **config).outputs.as_of == LAST


def test_nothing_after_as_of_is_known(config, make_io, run_prices):
    io = run_prices(make_io(as_of=date(2021, 3, 7)), **config)  # a Sunday
    assert io.outputs.as_of == date(2021, 3, 5)
    assert panel(io).sessions[-1] == np.datetime64("2021-03-05")


def test_an_earlier_as_of_gives_the_same_past(config, make_io, run_prices):
    whole, cut = (
        panel(run_prices(make_io("one"), **config)),
        panel(run_prices(make_io("two"), **config, end=date(2021, 3, 5))),
    )
    n = len(cut.sessions)
    assert np.array_equal(whole.up_to(n).fields["close"], cut.fields["close"])
    assert np.array_equal(whole.up_to(n).member, cut.member)


def test_the_fingerprint_changes_with_any_file_that_is_read(config, make_io, tmp_path):
    (tmp_path / "sectors.csv").write_text("ticker,sector\nAAA,Energy\n")
    beside = config | {"sectors": str(tmp_path / "sectors.csv")}
    before = prices.fingerprint(PricesConfig(**beside), make_io())
    assert before != prices.fingerprint(PricesConfig(**config), make_io())
    assert before == prices.fingerprint(PricesConfig(**beside), make_io())
    (tmp_path / "sectors.csv").write_text("ticker,sector\nAAA,Utilities\n")
    assert before != prices.fingerprint(PricesConfig(**beside), make_io())


def test_a_live_source_has_no_fingerprint(make_io):
    assert prices.fingerprint(PricesConfig(source="yfinance", tickers=("AAA",)), make_io()) is None


def test_rejected_prices_leave_a_summary_and_the_earlier_snapshot_alone(config, make_io, run_prices, tmp_path):
    earlier = run_prices(make_io("one"), **config)
    bars = sound_bars()
    bars.loc[7, "close"] = -1.0
    bars.to_parquet(config["prices"])
    io = make_io("two")
    with pytest.raises(DataRejectedError):
        run_prices(io, **config)
    (findings,) = [key for key in io.store.keys("quarantine/") if key.endswith("prices.json")]
    (first, *_) = json.loads(io.store.read(findings))
    assert first["examples"][0]["ticker"] == "AAA"
    assert first["examples"][0]["close"] == -1.0
    assert panel(earlier).tickers[0] == "AAA"


def test_data_docs_are_laid_out_for_people(config, run_prices):
    io = run_prices(**config)
    (page,) = io.store.keys("pages/foundry_train/")
    assert page.endswith("data_docs/prices/index.html")


def test_the_sample_goes_through_with_closes_alone_and_its_own_benchmark(make_io, run_prices):
    io = run_prices(make_io(as_of=date(2026, 11, 19)))
    facts = about(io)
    assert facts["columns"] == {"present": ["close"], "absent": ["open", "high", "low", "adj_close", "volume"]}
    assert facts["benchmark"] == "the sample's own, the S&P 500 index"
    assert (facts["tickers"], facts["as_of"]) == (20, "2022-12-28")
    assert any("has no open, high, low, volume" in warning for warning in io.outputs.warnings)
    assert np.isfinite(panel(io).benchmark).all()


def test_five_real_years_go_through_and_every_known_defect_is_named(market_data, make_io, run_prices):
    io = run_prices(
        make_io(as_of=date(2026, 11, 19)),
        source="parquet",
        prices=str(market_data / "sp500_2013_2018.parquet"),
        sectors=str(market_data / "sectors_sp500_2013_2018.csv"),
        benchmark=str(market_data / "spy_1993_2024.parquet"),
        vix=str(market_data / "vix_1990_2024.parquet"),
    )
    facts, told = about(io), " | ".join(io.outputs.warnings)
    assert (facts["tickers"], facts["sessions"], facts["sectors"]) == (505, 1259, 11)
    assert facts["coverage"] > 0.99
    assert facts["universe"] == "not point in time: survivorship bias"
    for name in ("BBY 2016-03-14", "LNT 2016-05-19", "BAX 2015-07-01"):
        assert name in told
    aside = {(entry["ticker"], entry["reason"]): entry for entry in facts["set_aside"]}
    assert aside["LNT", "outside its low and high"]["last"] == "2016-05-19"
    verdicts = {(move["ticker"], move["date"]): move["verdict"] for move in facts["large_moves"]}
    assert "unadjusted" in verdicts["EBAY", "2015-07-20"]
    assert "unadjusted" in verdicts["NI", "2015-07-02"]
    found = panel(io)
    assert np.isfinite(found.fields["close"][:, found.tickers.index("EBAY")]).all()
    assert np.isfinite(found.benchmark).all()
    assert np.isfinite(found.vix).all()
    assert found.sectors[found.tickers.index("AAPL")] == "Information Technology"


@pytest.mark.slow(20)
def test_the_scale_set_goes_through_with_membership_point_in_time(market_data, make_io, run_prices):
    io = run_prices(
        make_io(as_of=date(2026, 11, 19)),
        source="parquet",
        prices=str(market_data / "sp500_2000_2024.parquet"),
        universe=str(market_data / "sp500_membership_start_end.csv"),
    )
    facts, found = about(io), panel(io)
    assert (facts["tickers"], facts["sessions"]) == (500, 6084)
    assert facts["universe"].startswith("point in time from sp500_membership_start_end.csv; prices for 63")
    on_2010 = found.member[found.sessions == np.datetime64("2010-01-04")].sum()
    assert on_2010 == 291  # by ticker, of 499; the README counts 362
    assert "AMCR" in {entry["ticker"] for entry in facts["set_aside"] if entry["reason"] == "volume of zero"}


def test_sectors_with_dates_are_published_by_session_and_said_to_be_point_in_time(
    config, make_io, run_prices, tmp_path
):
    lines = "AAA,Energy,2020-01-02,2020-06-30\nAAA,Utilities,2020-07-01,\nBBB,Energy,2020-01-02,\n"
    (tmp_path / "sectors.csv").write_text(f"ticker,sector,start_date,end_date\n{lines}")
    io = run_prices(make_io(), **config, sectors=str(tmp_path / "sectors.csv"))
    found = panel(io)
    assert (about(io)["sectors"], about(io)["sector_dates"]) == (2, "point in time from sectors.csv")
    assert not any("hindsight" in warning for warning in io.outputs.warnings)
    names = np.array(found.dated_sectors.names)[found.dated_sectors.code[:, 0]]
    assert (names == np.where(found.sessions <= np.datetime64("2020-06-30"), "Energy", "Utilities")).all()


def test_sectors_without_dates_are_published_as_before_and_said_to_be_hindsight(config, make_io, run_prices, tmp_path):
    (tmp_path / "sectors.csv").write_text("ticker,sector\nAAA,Energy\n")
    io = run_prices(make_io(), **config, sectors=str(tmp_path / "sectors.csv"))
    assert panel(io).dated_sectors is None
    assert about(io)["sector_dates"].endswith("which is hindsight")
    assert any("which is hindsight" in warning for warning in io.outputs.warnings)
    assert "sector_dates" not in about(run_prices(make_io("without"), **config))
