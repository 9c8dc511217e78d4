"""Every source gives a tidy frame. The inputs of static sources have a digest; live sources have none."""

from datetime import date

import pandas as pd
import pytest

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import ConfigError, DataRejectedError
from foundry_tasks.data.price_source import open_source
from tests.market_bars import sound_bars


def test_the_sample_is_twenty_real_stocks_and_their_index():
    source = open_source(PricesConfig())
    frame = source.fetch((), None, None)
    assert frame["ticker"].nunique() == 20
    assert (frame["date"].min().date(), source.last_date()) == (date(1990, 1, 2), date(2022, 12, 28))
    assert list(frame.columns) == ["date", "ticker", "close"]
    assert source.benchmark().table["close"].iloc[0] == 359.69
    assert source.fingerprint() == open_source(PricesConfig()).fingerprint()


def test_a_source_is_cut_to_tickers_and_dates():
    frame = open_source(PricesConfig()).fetch(("KO", "XOM"), date(2020, 1, 2), date(2020, 1, 3))
    assert sorted(frame["ticker"]) == ["KO", "KO", "XOM", "XOM"]


def test_a_folder_is_read_together_and_a_file_without_tickers_is_named_after_itself(tmp_path):
    bars = sound_bars(("AAA", "BBB"))
    bars[bars["ticker"] == "AAA"].drop(columns="ticker").to_csv(tmp_path / "AAA.csv.gz", index=False)
    bars[bars["ticker"] == "BBB"].drop(columns="open").to_parquet(tmp_path / "b.parquet")
    (tmp_path / "README.md").write_text("no prices")
    frame = open_source(PricesConfig(source="parquet", prices=str(tmp_path))).fetch((), None, None)
    assert frame.groupby("ticker").size().to_dict() == {"AAA": 377, "BBB": 377}
    assert frame.loc[frame["ticker"] == "BBB", "open"].isna().all()


def test_csv_and_parquet_of_the_same_bars_are_the_same_frame(tmp_path):
    bars = sound_bars(("AAA", "BBB"))
    bars.to_csv(tmp_path / "b.csv", index=False)
    bars.to_parquet(tmp_path / "b.parquet")
    frames = [
        open_source(PricesConfig(source="parquet", prices=str(tmp_path / name))).fetch((), None, None)
        for name in ("b.csv", "b.parquet")
    ]
    pd.testing.assert_frame_equal(*frames)


@pytest.mark.parametrize("kind", ["datetime64[ms]", "date", "str"])
def test_a_parquet_source_is_cut_alike_whatever_its_dates_are_written_as(tmp_path, kind):
    bars = sound_bars(("AAA", "BBB"))
    written = bars["date"].dt.date if kind == "date" else bars["date"].astype(kind)
    bars.assign(date=written).to_parquet(tmp_path / "b.parquet", row_group_size=100)
    source = open_source(PricesConfig(source="parquet", prices=str(tmp_path / "b.parquet")))
    assert (source.first_date(()), source.last_date()) == (date(2020, 1, 2), date(2021, 6, 30))
    cut = source.fetch((), date(2021, 5, 3), None)
    wanted = bars[bars["date"] >= "2021-05-03"].reset_index(drop=True)
    pd.testing.assert_frame_equal(cut, wanted, check_dtype=False)


def test_there_is_nothing_after_the_last_date(tmp_path):
    sound_bars(("AAA",)).to_parquet(tmp_path / "b.parquet")
    source = open_source(PricesConfig(source="parquet", prices=str(tmp_path / "b.parquet")))
    found = source.fetch((), date(2030, 1, 1), None)
    assert found.empty
    assert list(found.columns) == list(source.fetch((), None, None).columns)


def test_a_date_that_no_market_knows_is_named_and_not_believed(tmp_path):
    bars = sound_bars(("AAA",))
    days = bars["date"].dt.date.to_list()
    days[5] = date(1066, 10, 14)
    bars.assign(date=days).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataRejectedError, match="1066-10-14 is no date of a market"):
        open_source(PricesConfig(source="parquet", prices=str(tmp_path / "b.parquet"))).first_date(())


def test_a_row_without_a_date_is_never_lost_in_a_cut(tmp_path):
    bars = sound_bars(("AAA",))
    bars.loc[3, "date"] = pd.NaT
    bars.to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataRejectedError, match=r"1 row\(s\) without a date"):
        open_source(PricesConfig(source="parquet", prices=str(tmp_path / "b.parquet"))).fetch(
            (), date(2021, 5, 3), None
        )


def test_the_first_date_is_that_of_the_tickers_asked_for(tmp_path):
    bars = sound_bars(("AAA", "BBB"))
    bars[(bars["ticker"] == "AAA") | (bars["date"] >= "2021-01-04")].to_parquet(tmp_path / "b.parquet")
    source = open_source(PricesConfig(source="parquet", prices=str(tmp_path / "b.parquet")))
    assert source.first_date(("BBB",)) == date(2021, 1, 4)
    assert source.first_date(("CCC",)) is None


def test_a_changed_file_has_another_fingerprint(tmp_path):
    config = PricesConfig(source="parquet", prices=str(tmp_path / "b.parquet"))
    bars = sound_bars(("AAA",))
    bars.to_parquet(tmp_path / "b.parquet")
    before = open_source(config).fingerprint()
    bars.iloc[:-1].to_parquet(tmp_path / "b.parquet")
    assert open_source(config).fingerprint() != before


def test_a_store_elsewhere_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="reads files here and s3:// objects"):
        open_source(PricesConfig(source="parquet", prices="gs://bucket/prices"))
