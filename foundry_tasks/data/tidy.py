"""The tidy schema of prices: date, ticker, close, and open, high, low, adj_close, volume if the source has them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.column_content import holds_dates, tickers_by_content
from foundry_tasks.data.column_names import NONE_DECLARED
from foundry_tasks.data.column_names import column_of as column_of  # noqa: PLC0414 - readers of files take it from here
from foundry_tasks.data.columns import find_roles, how_to_declare, listed, prices_by_name
from foundry_tasks.data.dates import calendar_dates
from foundry_tasks.data.panel import PRICE_FIELDS, DateArray
from foundry_tasks.data.tickers import ticker_text

COLUMNS = ("date", "ticker", *PRICE_FIELDS)
NO_VALUE = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-", "#N/A")
"""Texts for a missing number."""


def tidy(
    raw: pd.DataFrame,
    *,
    where: str,
    ticker: str = "",
    columns: Mapping[str, str] | None = NONE_DECLARED,
    notes: list[str] | None = None,
) -> pd.DataFrame:
    """Convert a source's frame to the tidy schema: date datetime64[s], ticker text, the rest float64; row order is kept.

    A frame with only an adjusted close uses it as its close.

    where: the source in an error. ticker: of a source with one series and no ticker column. columns: schema column → the
    source's column, "" for none; other columns are found by name; None: the user cannot declare columns. notes: sentences
    on the choice are appended, without `where`. Raises DataRejectedError for missing or ambiguous columns, missing values of
    date or ticker, and text in a column of numbers; ConfigError for a declared column that is absent.
    """
    raw = _flat(raw)
    roles = find_roles(raw, COLUMNS, where, columns)
    at, found = dict(roles.at), list(roles.notes)
    if "close" not in at and "adj_close" in at:
        at["close"] = at.pop("adj_close")
        found.append("there is no close; the adjusted close stands for it")
    missing = [name for name in ("date", "close") if name not in at]
    if "ticker" not in at and not ticker:
        missing.append("ticker")
    if missing:
        raise DataRejectedError(
            f"{where}: no column {', '.join(missing)}; it has {listed(raw.columns)}. "
            f"Foundry reads {', '.join(COLUMNS)}, in any order and case; date, ticker and close have to be there."
            f"{_advice(raw, at, missing[0]) if columns is not None else ''}"
        )
    if raw.empty:
        raise DataRejectedError(f"{where} holds no rows. Give a file with daily prices.")
    dates = calendar_dates(raw.iloc[:, at["date"]], where)
    tickers = _tickers(raw.iloc[:, at["ticker"]], where) if "ticker" in at else ticker
    bars = _Bars(dates.to_numpy(), tickers, where)
    fields = {name: bars.numbers(raw.iloc[:, at[name]], name) for name in PRICE_FIELDS if name in at}
    result = pd.DataFrame({"date": bars.dates, "ticker": tickers, **fields})
    if "ticker" not in at:
        result["ticker"] = result["ticker"].astype("str")
        if columns is not None and columns.get("ticker") != "":
            _refuse_unnamed_tickers(raw, at, result, where)
    if notes is not None:
        notes += found
    return result


def _flat(raw: pd.DataFrame) -> pd.DataFrame:
    """The frame with a named or date index as columns."""
    if isinstance(raw.index, pd.DatetimeIndex) and raw.index.name is None:
        raw = raw.rename_axis(index="date")
    named = isinstance(raw.index, pd.MultiIndex) or raw.index.name is not None
    return raw.reset_index(allow_duplicates=True) if named else raw


def _advice(raw: pd.DataFrame, at: Mapping[str, int], role: str) -> str:
    """A sentence on how to declare the column that may have the missing role; "" without a candidate."""
    used = set(at.values())
    others = {
        "date": [
            str(name)
            for position, name in enumerate(raw.columns)
            if position not in used and holds_dates(raw.iloc[:, position])
        ],
        "ticker": tickers_by_content(raw, used, repeated_dates=True),
        "close": prices_by_name(raw, used),
    }[role]
    return f" Is {others[0]} the {role}? Then write {how_to_declare(role, others[0])}." if others else ""


def _refuse_unnamed_tickers(raw: pd.DataFrame, at: Mapping[str, int], table: pd.DataFrame, where: str) -> None:
    """Raise DataRejectedError if a frame without a ticker column holds several series.

    Signs: several bars on a date, or a text column that may hold tickers.
    """
    twice = table["date"].duplicated()
    several = bool(twice.any()) and int(twice.sum()) > int(table.duplicated().sum())
    could_be = tickers_by_content(raw, set(at.values()), repeated_dates=several)
    if could_be:
        raise DataRejectedError(
            f"{where}: no column ticker, but {listed(could_be)} could be it. Write {how_to_declare('ticker', could_be[0])}, "
            f'or ticker = "" where the file holds one ticker.'
        )
    if several:
        first = table.loc[twice, "date"].min().date()
        raise DataRejectedError(
            f"{where}: no column ticker, and several bars a date, first on {first}; it has {listed(raw.columns)}. Name the "
            f"column that tells tickers apart, such as {how_to_declare('ticker', 'id')}, or give one bar a date."
        )


def _tickers(values: pd.Series, where: str) -> ExtensionArray:
    names = ticker_text(values)
    nameless = names.isna() | (names == "")
    if nameless.any():
        raise DataRejectedError(
            f"{where}: {int(nameless.sum()):,} row(s) without a ticker, first row {int(nameless.to_numpy().argmax()) + 1}. "
            "Complete or remove them."
        )
    tickers: ExtensionArray = names.array
    return tickers


@dataclass(frozen=True)
class _Bars:
    """Dates and tickers of a table's rows, for errors."""

    dates: DateArray
    tickers: ExtensionArray | str
    where: str

    def numbers(self, values: pd.Series, name: str) -> npt.NDArray[np.float64]:
        if values.dtype.kind in "fiu":
            return values.to_numpy(np.float64)
        numbers = pd.to_numeric(values, errors="coerce")
        text = values.astype("str").str.strip()
        wrong = (numbers.isna() & values.notna() & ~text.isin(NO_VALUE)).to_numpy(bool)
        if wrong.any():
            at = int(wrong.argmax())
            ticker = self.tickers if isinstance(self.tickers, str) else self.tickers[at]
            raise DataRejectedError(
                f"{self.where}: column {name} holds text in {int(wrong.sum()):,} row(s), such as {text.iloc[at]!r} "
                f"({ticker} {np.datetime_as_string(self.dates[at], 'D')}). Write plain decimal numbers."
            )
        return numbers.to_numpy(np.float64)
