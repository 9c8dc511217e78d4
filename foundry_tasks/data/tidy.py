"""The tidy schema of prices: date, ticker, open, high, low, close, adj_close, volume, as far as a source has them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.dates import calendar_dates
from foundry_tasks.data.panel import PRICE_FIELDS

COLUMNS = ("date", "ticker", *PRICE_FIELDS)
NO_VALUE = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-", "#N/A")
"""What a text file writes where it has no number."""

_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "datetime", "timestamp", "day", "session", "trade_date"),
    "ticker": ("ticker", "symbol", "name", "code", "instrument"),
    "adj_close": ("adj_close", "adjclose", "adjusted_close", "close_adj", "adj._close"),
    "volume": ("volume", "vol"),
    "sector": ("sector", "gics_sector"),
}


def column_of(name: str) -> str:
    """The schema's name for a source's column name; the name itself, tidied, where the schema has none."""
    plain = _plain(name)
    return next((column for column, names in _SYNONYMS.items() if plain in names), plain)


def _plain(name: object) -> str:
    return str(name).strip().lower().replace(" ", "_").replace("-", "_")


def tidy(raw: pd.DataFrame, *, where: str, ticker: str = "") -> pd.DataFrame:
    """A source's frame in the tidy schema: date datetime64[s], ticker text, the rest float64; row order is kept.

    where: names the source in an error. ticker: of a source that holds one series and no ticker column. A frame with
    only an adjusted close takes it as its close. Raises DataRejectedError that says what is wrong and where.
    """
    if isinstance(raw.index, pd.MultiIndex) or raw.index.name is not None:
        raw = raw.reset_index()
    chosen = _chosen(raw)
    if "close" not in chosen and "adj_close" in chosen:
        chosen["close"] = chosen.pop("adj_close")
    missing = [name for name in ("date", "close") if name not in chosen]
    if "ticker" not in chosen and not ticker:
        missing.append("ticker")
    if missing:
        raise DataRejectedError(
            f"{where}: no column {', '.join(missing)}; it has {', '.join(map(str, raw.columns)) or 'none'}. "
            f"Foundry reads {', '.join(COLUMNS)}, in any order and case; date, ticker and close have to be there."
        )
    if raw.empty:
        raise DataRejectedError(f"{where} holds no rows. Give a file with daily prices.")
    dates = calendar_dates(raw[chosen["date"]], where)
    table: dict[str, Any] = {"date": dates.to_numpy()}
    table["ticker"] = _tickers(raw[chosen["ticker"]], where) if "ticker" in chosen else ticker
    for name in PRICE_FIELDS:
        if name in chosen:
            table[name] = _numbers(raw[chosen[name]], name, table, where)
    result = pd.DataFrame(table)
    result["ticker"] = result["ticker"].astype("str")
    return result


def _chosen(raw: pd.DataFrame) -> dict[str, Any]:
    """Schema column → source column; of several that would do, the one that the synonyms list first."""
    found: dict[str, list[Any]] = {}
    for source in raw.columns:
        found.setdefault(column_of(str(source)), []).append(source)
    ranks = {column: _SYNONYMS.get(column, (column,)) for column in COLUMNS}
    chosen = {}
    for column in filter(found.__contains__, COLUMNS):
        by_rank = {ranks[column].index(_plain(source)): source for source in reversed(found[column])}
        chosen[column] = by_rank[min(by_rank)]
    return chosen


def _tickers(values: "pd.Series[Any]", where: str) -> Any:
    names = values.astype("str").str.strip()
    nameless = values.isna() | (names == "")
    if nameless.any():
        raise DataRejectedError(
            f"{where}: {int(nameless.sum()):,} row(s) without a ticker, first row {int(nameless.to_numpy().argmax()) + 1}. "
            "Complete or remove them."
        )
    return names.to_numpy()


def _numbers(values: "pd.Series[Any]", name: str, table: Mapping[str, Any], where: str) -> Any:
    if values.dtype.kind in "fiu":
        return values.to_numpy(np.float64)
    numbers = pd.to_numeric(values, errors="coerce")
    text = values.astype("str").str.strip()
    wrong = (numbers.isna() & values.notna() & ~text.isin(NO_VALUE)).to_numpy(bool)
    if wrong.any():
        at = int(wrong.argmax())
        ticker = table["ticker"] if isinstance(table["ticker"], str) else table["ticker"][at]
        raise DataRejectedError(
            f"{where}: column {name} holds text in {int(wrong.sum()):,} row(s), such as {text.iloc[at]!r} "
            f"({ticker} {np.datetime_as_string(table['date'][at], 'D')}). Write plain decimal numbers."
        )
    return numbers.to_numpy(np.float64)
