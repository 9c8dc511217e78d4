"""A ticker is matched between prices, universe, sectors and conf in all spellings."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.data.market_files import read_sectors
from foundry_tasks.data.price_source import open_source
from foundry_tasks.data.tickers import renamed
from foundry_tasks.data.universe import read_universe, survivorship
from tests.market_bars import sound_bars

CLASSES = (("BRK", "B"), ("BF", "B"), ("VOD", "L"), ("NA", "TO"), ("X", "1"))
SEPARATORS = st.sampled_from((".", "-", "/", " ", "_"))


def names(separators):
    return ["VOD", *(separator.join(parts) for parts, separator in zip(CLASSES, separators, strict=True))]


SPELLED = st.tuples(*[SEPARATORS] * len(CLASSES)).map(names)


@pytest.mark.slow(5)
@settings(max_examples=20)
@given(priced=SPELLED, universe=SPELLED, sectors=SPELLED, asked=SPELLED)
def test_every_file_may_write_a_ticker_its_own_way(tmp_path_factory, priced, universe, sectors, asked):
    folder = tmp_path_factory.mktemp("spelled")
    sound_bars(tuple(priced)).to_csv(folder / "bars.csv", index=False)
    pd.DataFrame({"ticker": universe, "start_date": "2000-01-01", "end_date": ""}).to_csv(folder / "m.csv", index=False)
    pd.DataFrame({"Symbol": sectors, "GICS Sector": range(len(sectors))}).to_csv(folder / "s.csv", index=False)
    source = open_source(PricesConfig(source="parquet", prices=str(folder / "bars.csv")))
    table = source.fetch(tuple(asked[1:]), None, None)
    assert set(table["ticker"]) == set(priced[1:])
    sessions = table["date"].unique().to_numpy().astype("datetime64[D]")
    assert read_universe(folder / "m.csv").members(sessions, priced).all()
    found = renamed(read_sectors(folder / "s.csv"), priced)
    assert {name: span.sector for name, (span,) in found.items()} == {name: str(at) for at, name in enumerate(priced)}


@pytest.mark.slow(5)
@settings(max_examples=20)
@given(numbers=st.lists(st.integers(1, 99_999), min_size=2, max_size=6, unique=True), data=st.data())
def test_identifiers_are_the_same_whatever_number_they_were_stored_as(tmp_path_factory, numbers, data):
    folder = tmp_path_factory.mktemp("numbers")
    bars = sound_bars(tuple(map(str, numbers)))
    kinds = st.sampled_from(("int64", "float64", "str", "category"))
    bars.astype({"ticker": "int64"}).astype({"ticker": data.draw(kinds)}).to_parquet(folder / "bars.parquet")
    members = pd.DataFrame({"PERMNO": [*numbers, None], "start": "2000-01-01", "ending": None})[: len(numbers)]
    members.to_csv(folder / "m.csv", index=False)
    source = open_source(PricesConfig(source="parquet", prices=str(folder / "bars.parquet")))
    table = source.fetch((), None, None)
    assert set(table["ticker"]) == set(map(str, numbers))
    sessions = table["date"].unique().to_numpy().astype("datetime64[D]")
    universe = read_universe(folder / "m.csv")
    assert universe.members(sessions, list(map(str, numbers))).all()
    assert survivorship(universe, universe.size(sessions), sessions).startswith("point in time from m.csv")
