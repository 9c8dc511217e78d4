"""The built-in sample: 20 S&P 500 stocks and the index, 1990 to 2022, as the package skfolio ships them (BSD-3)."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from importlib import metadata, util
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.input_files import content_digest
from foundry_tasks.data.price_source import Series
from foundry_tasks.data.sources.parquet import cut, first_date

if TYPE_CHECKING:
    import pandas as pd

    from foundry_tasks.contract.stage_io import StageIO

_STOCKS = "sp500_dataset.csv.gz"
_INDEX = "sp500_index.csv.gz"


def open_source(config: PricesConfig, named: str, io: "StageIO | None") -> "SampleSource":  # noqa: ARG001 - there is one
    """The sample; no conf key changes it."""
    return SampleSource()


class SampleSource:
    """Adjusted closes only, without open, high, low and volume. Reads skfolio's files without importing it.

    Raises ConfigError if skfolio or its data sets are not installed.
    """

    silent: Mapping[str, str] = MappingProxyType({})
    notes: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._folder = _data_folder()
        self.name = f"sample (skfolio {metadata.version('skfolio')})"
        self.identity: Mapping[str, str] = {"source": "sample"}

    def fingerprint(self) -> str:
        """sha256 over the package's two files."""
        return content_digest([self._folder / _STOCKS, self._folder / _INDEX])

    def last_date(self) -> date:
        """The last date of the stocks."""
        last: date = self._table["date"].max().date()
        return last

    def first_date(self, tickers: Sequence[str]) -> date | None:
        """The first date of `tickers`; None if the sample has none of them."""
        return first_date(cut(self._table, tickers, None, None))

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> "pd.DataFrame":
        """Columns date, ticker, close; rows by ticker and date."""
        return cut(self._table, tickers, start, end)

    def benchmark(self) -> Series:
        """The S&P 500 index over the same years."""
        index = self._read(_INDEX).rename(columns={"Date": "date", "SP500": "close"})
        return Series(index, "the sample's own, the S&P 500 index")

    @cached_property
    def _table(self) -> "pd.DataFrame":
        wide = self._read(_STOCKS)
        return wide.melt("Date", var_name="ticker", value_name="close").rename(columns={"Date": "date"})

    def _read(self, name: str) -> "pd.DataFrame":
        import pandas as pd  # noqa: PLC0415 - a run that reuses its prices needs the digest alone

        table = pd.read_csv(self._folder / name)
        table["Date"] = pd.to_datetime(table["Date"], format="%Y-%m-%d").astype("datetime64[s]")
        return table


def _data_folder() -> Path:
    found = util.find_spec("skfolio")
    for place in (found.submodule_search_locations or []) if found else []:
        folder = Path(place) / "datasets" / "data"
        if all((folder / name).is_file() for name in (_STOCKS, _INDEX)):
            return folder
    raise ConfigError(
        "source='sample' needs the package skfolio with its data sets, which this environment lacks. Install the cpu "
        "dependency group, or give your own prices with source='parquet'."
    )
