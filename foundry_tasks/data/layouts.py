"""Convert wide tables to long ones: closes with a column for each ticker, and yfinance's pairs of field and ticker."""

import ast
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.column_content import ColumnType
from foundry_tasks.data.dates import calendar_dates
from foundry_tasks.data.panel import PRICE_FIELDS, AnyArray
from foundry_tasks.data.tidy import column_of

Name = str | tuple[str, str]
"""A column's name: a text, or a pair from two header rows."""

_MORE_FIELDS = ("dividends", "stock_splits", "capital_gains", "repaired?", "repaired")
_LEVELS = {
    "price": "field",
    "prices": "field",
    "field": "field",
    "ticker": "ticker",
    "tickers": "ticker",
    "symbol": "ticker",
}
_NO_TICKERS = frozenset(
    re.findall(
        r"\S+",
        "price prices close last settle settlement value values px qty bid ask mid vwap average return returns ret change chg "
        "% adj adjusted turnover amount volume interest shares cap trades raw usd eur gbp index level rate yield count",
    )
)
"""Words that name a quantity of one series, not a ticker."""
_UNNAMED = re.compile(r"|Unnamed: \d+(_level_\d+)?|__index_level_\d+__|level_\d+|None")
_NUMBER = re.compile(r"[-+]?[\d.,' ]+")
_COUNTED = re.compile(r"(.+)\.\d+")
_DATE_NAME = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}( .*)?|(19|20)\d{6}")
_MANY = 30
"""A long table without tickers has at most this many columns."""
_ADVICE = "Write one row per date and ticker, with columns date, ticker, close"


# ---------------------------------------------------------------- header rows of text
def header_rows(rows: Sequence[Sequence[str]]) -> tuple[list[Name], int]:
    """The columns' names, and the number of header rows.

    rows: the first rows of a text file. Two header rows hold fields and tickers, in either order; a third row may hold the
    name of the date column alone.
    """
    if not rows:
        return [], 0
    first = [cell.strip() for cell in rows[0]]
    second = [cell.strip() for cell in rows[1]] if len(rows) > 1 else []
    if len(first) < 2 or len(second) != len(first) or not _are_two_levels(first, second):
        return list(first), 1
    third = [cell.strip() for cell in rows[2]] if len(rows) > 2 else []
    names_dates = len(third) == len(first) and third[0] != "" and not any(third[1:])
    return ["date", *zip(first[1:], second[1:], strict=True)], 2 + names_dates


def _are_two_levels(first: Sequence[str], second: Sequence[str]) -> bool:
    if not all(second[1:]):
        return False
    level = _LEVELS.get(second[0].lower())
    if all(map(_is_field, second[1:])) and (level == "field" or not all(map(_is_field, first[1:]))):
        return True
    is_row_of_text = second[0] == "" and not any(map(_NUMBER.fullmatch, second[1:]))
    is_repeated = second[0] == "" and len(set(first[1:])) < len(first[1:])
    return all(map(_is_field, first[1:])) and (level == "ticker" or is_row_of_text or is_repeated)


# ---------------------------------------------------------------- frames
def long_frame(frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, list[str]]:
    """The frame with one row per date and ticker, and notes on the layout that was converted.

    A frame that is not a wide table is returned unchanged, without notes. where: the source in an error. Raises
    DataRejectedError for repeated column names and for wide tables that are ambiguous.
    """
    dtypes = list(frame.dtypes)
    names: list[Hashable] = [_pair(name) for name in frame.columns]
    date = next((index for index, name in enumerate(names) if is_date(name, dtypes[index])), None)
    values = [
        index
        for index, name in enumerate(names)
        if index != date and not (_is_unnamed(name) and _is_row_number(frame.iloc[:, index]))
    ]
    paired = [name for index in values if isinstance(name := names[index], tuple)]
    if date is not None and values and len(paired) == len(values):
        return _from_pairs(frame, date, paired, values, where), ["a column for each field and ticker"]
    refuse_repeated([_text(name) for name in names], where)
    if sum(bool(_DATE_NAME.fullmatch(_text(name))) for name in names) > max(2, len(names) // 2):
        raise DataRejectedError(
            f"{where} has one column for each date, such as {next(filter(_DATE_NAME.fullmatch, map(_text, names)))}. {_ADVICE}."
        )
    if date is None:
        return frame, []
    texts = [_text(names[index]) for index in values]
    if pairs := _flattened(texts):
        return _from_pairs(frame, date, pairs, values, where), ["a column for each field and ticker"]
    if _are_tickers(texts, frame, values):
        pairs = [("close", name) for name in texts]
        return _from_pairs(frame, date, pairs, values, where), ["a wide table of closes, a column for each ticker"]
    if len(names) > _MANY and not {"close", "adj_close", "ticker"} & {column_of(_text(name)) for name in names}:
        shown = ", ".join(_text(name)[:20] for name in names[:4])
        raise DataRejectedError(
            f"{where} has {len(names):,} columns ({shown}, …), and none is a close or a ticker. {_ADVICE}."
        )
    return frame, []


def with_dates(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The frame with its index as columns and a single unnamed column of dates named date; and notes on both."""
    notes: list[str] = []
    if isinstance(frame.columns, pd.MultiIndex):
        columns = [_joined(name) for name in frame.columns]
        frame = frame.set_axis(pd.Index(columns, tupleize_cols=False), axis=1)
    if not isinstance(frame.index, pd.RangeIndex):
        frame, notes = _with_index(frame)
    names = list(frame.columns)
    if not any(isinstance(name, str) and column_of(name) == "date" for name in names):
        unnamed = [index for index, name in enumerate(names) if _UNNAMED.fullmatch(_text(name))]
        dated = [index for index in unnamed if _holds_dates(frame.iloc[:, index])]
        if len(dated) == 1:
            names[dated[0]] = "date"
            frame = frame.set_axis(pd.Index(names, tupleize_cols=False), axis=1)
            notes = notes or ["dates in a column without a name"]
    return frame, notes


def _with_index(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    levels = {}
    for at in range(frame.index.nlevels):
        level = frame.index.get_level_values(at)
        name = f"level_{at}" if level.name is None else str(level.name)
        values = pd.Series(level, index=pd.RangeIndex(len(frame)), name=name)
        if name not in frame.columns and not (_is_unnamed(name) and _is_row_number(values)):
            levels[name] = values
    frame = frame.set_axis(pd.RangeIndex(len(frame)), axis=0)
    names = pd.Index([*levels, *frame.columns], tupleize_cols=False)
    dated = any(column_of(name) == "date" or _holds_dates(values) for name, values in levels.items())
    columns = [*levels.values(), *(frame.iloc[:, at] for at in range(frame.shape[1]))]
    table = pd.DataFrame(dict(enumerate(columns)), index=frame.index)
    return table.set_axis(names, axis=1), ["dates in the index"] if dated else []


def _is_unnamed(name: Hashable) -> bool:
    return isinstance(name, str) and _UNNAMED.fullmatch(name) is not None


def _is_row_number(values: pd.Series) -> bool:
    """Whether an unnamed column holds row numbers or only missing values."""
    return (values.dtype.kind in "iu" and not _holds_dates(values)) or bool(values.isna().all())


def _joined(name: Sequence[Hashable]) -> Name:
    """A name of several levels as text if only one level is filled, else as a pair (of two levels) or joined text."""
    parts = [str(part) for part in name]
    full = [part for part in parts if part and not part.startswith("Unnamed:")]
    return full[0] if len(full) == 1 else (parts[0], parts[1]) if len(parts) == 2 else " ".join(parts)


def _pair(name: Hashable) -> Hashable:
    """Parse a pair that Parquet stored as text, such as "('Close', 'AAPL')"; other names are unchanged."""
    if isinstance(name, str) and name.startswith("('") and len(name) < 200:
        try:
            found = ast.literal_eval(name)
        except (ValueError, SyntaxError):
            return name
        if isinstance(found, tuple) and len(found) == 2 and all(isinstance(part, str) for part in found):
            return _joined(found)
    return name


def _text(name: Hashable) -> str:
    return name if isinstance(name, str) else " ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _is_field(name: str) -> bool:
    return column_of(name) in PRICE_FIELDS or _plain(name) in _MORE_FIELDS


def is_date(name: Hashable, dtype: ColumnType) -> bool:
    """Whether a column holds dates, by its name. A float column does not: it may hold closes of the ticker DAY."""
    return isinstance(name, str) and column_of(name) == "date" and dtype.kind != "f"


def _holds_dates(values: pd.Series) -> bool:
    if values.dtype.kind == "M" or isinstance(values.dtype, pd.DatetimeTZDtype):
        return True
    sample = values.dropna().head(5).astype("str").str.strip()
    return bool(len(sample)) and all(map(_DATE_NAME.fullmatch, sample))


def refuse_repeated(names: Sequence[str], where: str) -> None:
    """Raise DataRejectedError for repeated column names, also in pandas' form: Close, Close.1."""
    have = set(names)
    bases = [
        counted[1] if (counted := _COUNTED.fullmatch(name)) and counted[1] in have and _is_field(counted[1]) else name
        for name in names
    ]
    twice = [(name, times) for name, times in Counter(bases).items() if times > 1 and not _UNNAMED.fullmatch(name)]
    if twice:
        shown = ", ".join(f"{name[:30]} ({times} times)" for name, times in twice[:5])
        more = f" and {len(twice) - 5:,} more" if len(twice) > 5 else ""
        raise DataRejectedError(
            f"{where} repeats the column name{'s' if len(twice) > 1 else ''} {shown}{more}: the tickers cannot be told apart. "
            f"{_ADVICE}, or keep the second header row."
        )


def _flattened(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of field and ticker from joined names such as Close_AAPL or AAPL.Close; empty for other names.

    At least two tickers are required, each with a close: "Open Price, Close Price" are fields of one series.
    """
    if any(map(_is_field, names)):
        return []
    for flipped in (False, True):
        pairs = [found for name in names if (found := _split(name, flipped=flipped))]
        if len(pairs) < len(names):
            continue
        closes = {ticker for field, ticker in pairs if column_of(field) in ("close", "adj_close")}
        tickers = {ticker for _, ticker in pairs}
        if len(tickers) > 1 and closes == tickers and not any(_plain(ticker) in _NO_TICKERS for ticker in tickers):
            return pairs
    return []


def _split(name: str, *, flipped: bool) -> tuple[str, str] | None:
    """Field and ticker of a joined name, with the longest field: Adj_Close_AAPL is an Adj_Close. flipped: ticker first."""
    cuts = [found.start() for found in re.finditer(r"[ _.|/:-]", name)]
    for cut in cuts if flipped else reversed(cuts):
        parts = name[:cut], name[cut + 1 :]
        field, ticker = parts[::-1] if flipped else parts
        if ticker and _is_field(field):
            return field, ticker
    return None


def _are_tickers(names: Sequence[str], frame: pd.DataFrame, at: Sequence[int]) -> bool:
    """Whether the columns other than the dates are closes of tickers.

    Required: at least two numeric columns, none of them named close; names of fields, such as LOW, are a minority; no name
    contains a word of `_NO_TICKERS`.
    """
    roles = [column_of(name) for name in names]
    if {"close", "adj_close"} & set(roles) or any(_UNNAMED.fullmatch(name) for name in names):
        return False
    known = [
        role for role in roles if role in ("date", "ticker", "sector", "start_date", "end_date") or _is_field(role)
    ]
    others = len(names) - len(known)
    words = {word for name in names for word in re.split(r"[ _./()-]+", name.lower())}
    return (
        others > max(1, len(known))
        and not words & _NO_TICKERS
        and all(dtype.kind in "fiu" or values.isna().all() for dtype, (_, values) in _columns(frame, at))
    )


def _columns(frame: pd.DataFrame, at: Sequence[int]) -> Iterator[tuple[ColumnType, tuple[Hashable, pd.Series]]]:
    chosen = frame.iloc[:, list(at)]
    return zip(chosen.dtypes, chosen.items(), strict=True)


def _from_pairs(
    frame: pd.DataFrame, date: int, pairs: Sequence[tuple[str, str]], at: Sequence[int], where: str
) -> pd.DataFrame:
    """The long frame of columns named by field and ticker, in either order. Rows without a value are dropped."""
    pairs = _field_first(pairs, where)
    refuse_repeated([f"{field} {ticker}" for field, ticker in pairs], where)
    tickers = list(dict.fromkeys(ticker for _, ticker in pairs))
    column = {ticker: index for index, ticker in enumerate(tickers)}
    shape = len(frame), len(tickers)
    fields: dict[str, npt.NDArray[np.float64]] = {}
    for (name, ticker), index in zip(pairs, at, strict=True):
        field = column_of(name)
        if field in PRICE_FIELDS:
            values = _floats(frame.iloc[:, index], f"{where}: column {name} {ticker}")
            fields.setdefault(field, np.full(shape, np.nan))[:, column[ticker]] = values
    if not fields:
        raise DataRejectedError(f"{where}: no column close for {tickers[0][:40]}. {_ADVICE}.")
    dates = calendar_dates(frame.iloc[:, date], where)
    long: Mapping[str, AnyArray | pd.Series] = {
        "date": np.tile(dates.to_numpy(), len(tickers)),
        "ticker": pd.Series(
            pd.Categorical.from_codes(np.repeat(np.arange(len(tickers)), len(frame)), pd.Index(tickers))
        ),
        **{field: fields[field].ravel(order="F") for field in PRICE_FIELDS if field in fields},
    }
    has_value = np.logical_or.reduce([~np.isnan(long[field]) for field in fields])
    result = pd.DataFrame(long)
    return result if has_value.all() else result[has_value].reset_index(drop=True)


def _field_first(pairs: Sequence[tuple[str, str]], where: str) -> list[tuple[str, str]]:
    is_field_first = all(_is_field(field) for field, _ in pairs)
    is_ticker_first = all(_is_field(field) for _, field in pairs)
    if is_field_first and is_ticker_first:  # tickers such as LOW and OPEN alone: a field has several tickers
        is_field_first = len({field for field, _ in pairs}) >= len({field for _, field in pairs})
    if is_field_first:
        return list(pairs)
    if is_ticker_first:
        return [(field, ticker) for ticker, field in pairs]
    odd = next(pair for pair in pairs if not _is_field(pair[0]))
    raise DataRejectedError(
        f"{where}: neither header row holds fields alone, such as open or close; one column is {' '.join(odd)[:60]!r}. {_ADVICE}."
    )


def _floats(values: pd.Series, where: str) -> npt.NDArray[np.float64]:
    if values.dtype.kind in "fiu":
        return values.to_numpy(np.float64)
    found = pd.to_numeric(values, errors="coerce")
    wrong = found.isna() & values.notna()
    if wrong.any():
        raise DataRejectedError(
            f"{where} holds text, such as {str(values[wrong].iloc[0])[:40]!r}. Write plain decimal numbers."
        )
    return found.to_numpy(np.float64)
