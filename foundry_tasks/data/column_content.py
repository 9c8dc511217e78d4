"""Checks of a column's values: dates, times of day, tickers, and whether two columns are equal."""

import re
from collections.abc import Collection

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionDtype

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.dates import calendar_dates

ColumnType = np.dtype[np.generic] | ExtensionDtype
"""The dtype of a frame's column."""

_COMPACT_DATE = re.compile(r"(?:19|20|21)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_EPOCH = re.compile(r"\d{9,19}")
_WRITTEN_DATE = re.compile(
    r"\d{4}[^\w:]\d{1,2}[^\w:]\d{1,2}|\d{1,2}[./ -]\w{1,9}[./, -]+\d{2,4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}"
)
_MIDNIGHT = re.compile(r"[T ]0{1,2}:00(?::00(?:\.0+)?)?(?!\d|:)")
_TIME = re.compile(r"[T ]\d{1,2}:\d{2}")
_TICKER = re.compile(r"(?=.*[A-Za-z])[\w^][\w.\-/ ^=:&]{0,23}")
_LOOKED_AT = 200
_FIRST_EPOCH = 10**8


def holds_dates(values: pd.Series, *, epochs: bool = True) -> bool:
    """Whether a column's first 200 values look like dates, not like weekdays, times of day or row numbers.

    epochs: whether large numbers count as times since 1970.
    """
    if values.dtype.kind == "M" or isinstance(values.dtype, pd.DatetimeTZDtype):
        return True
    texts = [str(value).strip().removesuffix(".0") for value in values.dropna().iloc[:_LOOKED_AT]]
    return bool(texts) and all(
        _COMPACT_DATE.fullmatch(text) or _WRITTEN_DATE.match(text) or (epochs and _EPOCH.fullmatch(text))
        for text in texts
    )


def has_times(values: pd.Series) -> bool:
    """Whether a column of dates holds a time of day other than midnight."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_localize(None)
    if values.dtype.kind == "M":
        stamps = values.to_numpy()
        return bool((stamps != stamps.astype("datetime64[D]"))[~np.isnat(stamps)].any())
    known = values.dropna().unique()
    texts = [str(value).strip() for value in known]
    if values.dtype.kind in "fiu" or all(map(str.isdigit, texts)):
        return any(_epoch_has_time(int(float(text))) for text in texts)
    return any(_TIME.search(text) and not _MIDNIGHT.search(text) for text in texts)


def _epoch_has_time(number: int) -> bool:
    """Whether a time since 1970 is not midnight. The magnitude gives the unit (s, ms, µs, ns); 20200102 is a date."""
    if number < _FIRST_EPOCH:
        return False
    unit = next(unit for unit in (1, 10**3, 10**6, 10**9) if number < 10**11 * unit or unit == 10**9)
    return number % (86_400 * unit) != 0


def tickers_by_content(raw: pd.DataFrame, used: Collection[int], *, repeated_dates: bool) -> list[str]:
    """Names of text columns outside `used` that may hold tickers. used: positions.

    repeated_dates: whether a date occurs more than once; if not, the rows of each value have to be contiguous.
    """
    found = []
    for position, (name, kind) in enumerate(zip(raw.columns, raw.dtypes, strict=True)):
        if position in used or not (isinstance(kind, pd.CategoricalDtype) or kind.kind in "OU"):
            continue
        values = raw.iloc[:, position]
        codes, distinct = pd.factorize(values)
        texts = [str(value).strip() for value in distinct[:_LOOKED_AT]]
        if not 2 <= len(distinct) <= len(values) // 2 or not all(map(_TICKER.fullmatch, texts)):
            continue
        stretches = 1 + int(np.count_nonzero(np.diff(codes)))
        if repeated_dates or stretches == len(distinct):
            found.append(str(name).strip())
    return found


def one_to_one(one: pd.Series, other: pd.Series) -> bool:
    """Whether the values of two columns map one to one; missing values of `other` count as one value."""
    left, names = pd.factorize(one)
    right, others = pd.factorize(other, use_na_sentinel=False)
    pairs = len(np.unique(left.astype(np.int64) * (len(others) + 1) + right))
    return bool(pairs == len(names) == len(others))


def alike(role: str, one: pd.Series, other: pd.Series) -> bool:
    """Whether two columns for one role are equal, as calendar dates, numbers or text."""
    if role == "date":
        try:
            return bool((calendar_dates(one, "").to_numpy() == calendar_dates(other, "").to_numpy()).all())
        except DataRejectedError:
            return False
    if one.dtype.kind in "fiu" and other.dtype.kind in "fiu":
        return np.array_equal(one.to_numpy(np.float64), other.to_numpy(np.float64), equal_nan=True)
    written = one.astype("str").str.strip(), other.astype("str").str.strip()
    return bool(((written[0] == written[1]) | (one.isna() & other.isna())).all())
