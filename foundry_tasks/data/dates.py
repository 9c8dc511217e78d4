"""Parse a file's calendar dates: one format for each column; an ambiguous format is refused."""

import re
from datetime import date

import numpy as np
import pandas as pd

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.panel import DateArray

_ISO = r"\d{4}-\d{2}-\d{2}(?:[T ].*)?"
_TIME = r"[ T]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?$"
_FORMATS = {
    "%Y/%m/%d": "yyyy/mm/dd",
    "%Y.%m.%d": "yyyy.mm.dd",
    "%m/%d/%Y": "mm/dd/yyyy, month first",
    "%d/%m/%Y": "dd/mm/yyyy, day first",
    "%d.%m.%Y": "dd.mm.yyyy, day first",
    "%m-%d-%Y": "mm-dd-yyyy, month first",
    "%d-%m-%Y": "dd-mm-yyyy, day first",
    "%d-%b-%Y": "dd-Mon-yyyy",
    "%b %d, %Y": "Mon dd, yyyy",
    "%d %b %Y": "dd Mon yyyy",
}
"""Accepted formats of dates → their names in notes."""
_COMPACT = "%Y%m%d"
_EPOCH = r"(\d{9,19})(?:\.0)?"
_EPOCH_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_FIRST_YEAR, _LAST_YEAR = 1900, 2199
_ADVICE = "Write every date as YYYY-MM-DD."
NO_START, NO_END = np.datetime64("1678-01-01"), np.datetime64("2262-01-01")
"""Dates of a span that is written without a start or without an end."""


def is_plausible(day: date) -> bool:
    """Whether the year lies within 1900 to 2199."""
    return _FIRST_YEAR <= day.year <= _LAST_YEAR


def calendar_dates(values: pd.Series, where: str, *, open_ended: bool = False) -> pd.Series:
    """`values` as datetime64[s] at midnight.

    A time zone is dropped and its local date kept, since a bar belongs to its exchange's day.

    where: the source in an error. open_ended: whether dates after 2199, such as 9999-12-31, are accepted as "no end". Raises
    DataRejectedError for missing dates, dates before 1900 or after 2199, more than one format, and an ambiguous order of day
    and month.

    >>> calendar_dates(pd.Series(["31/01/2024", "01/02/2024"]), "prices.csv").dt.strftime("%Y-%m-%d").tolist()
    ['2024-01-31', '2024-02-01']
    """
    dates = _dates(values, where)
    for extreme in (dates.min(), dates.max()):
        if not is_plausible(extreme) and not (open_ended and extreme.year > _LAST_YEAR):
            raise DataRejectedError(f"{where}: {extreme.date()} is no date of a market. {_ADVICE}")
    return dates


def span_dates(table: pd.DataFrame, where: str) -> tuple[DateArray, DateArray]:
    """First and last dates of spans, (n_rows,) datetime64[D], from the columns start_date and end_date.

    A missing start is NO_START, a missing end NO_END. where: the source in an error. Raises DataRejectedError as
    `calendar_dates`.
    """

    def dates(written: pd.Series, missing: np.datetime64) -> DateArray:
        days = np.full(len(written), missing, "datetime64[D]")
        known = written.notna().to_numpy()
        if known.any():
            found = calendar_dates(written[known], where, open_ended=missing == NO_END)
            days[known] = found.to_numpy().astype("datetime64[D]")
        return days

    return dates(table["start_date"], NO_START), dates(table["end_date"], NO_END)


def written_dates(values: pd.Series, where: str) -> tuple[pd.Series, str]:
    """`calendar_dates` of text, and the name of the format; YYYY-MM-DD and YYYYMMDD stay text and have the name ""."""
    first = next((value for value in values if value == value), "")  # noqa: PLR0124 - NaN alone differs from itself
    if not first or re.fullmatch(rf"\s*({_ISO}|\d{{8}})\s*", first):
        return values, ""
    dates = calendar_dates(values, where)
    distinct = pd.Index(values.unique()).astype("str").str.strip()
    return dates, _parsed(distinct, where)[1]


def _dates(values: pd.Series, where: str) -> pd.Series:
    if values.isna().any():
        raise DataRejectedError(
            f"{where}: {int(values.isna().sum()):,} row(s) without a date. Remove or complete them."
        )
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_localize(None)
    if values.dtype.kind == "M":
        return pd.Series(values.to_numpy().astype("datetime64[D]").astype("datetime64[s]"), index=values.index)
    written = (
        values.map(lambda value: value.isoformat() if hasattr(value, "isoformat") else str(value))
        if values.dtype.kind == "O"
        else values.astype("str")
    )
    codes, distinct = pd.factorize(written)
    return pd.Series(_parsed(pd.Index(distinct), where)[0][codes], index=values.index)


def _parsed(distinct: pd.Index, where: str) -> tuple[DateArray, str]:
    """The dates, and the name of their format."""
    text = distinct.astype("str").str.strip()
    wordy = ~np.asarray(text.str.contains(r"\d"), bool)  # pandas would parse "today" by the clock
    if wordy.any():
        raise DataRejectedError(f"{where}: {text[wordy][0][:40]!r} is no date that Foundry can read. {_ADVICE}")
    iso = np.asarray(text.str.fullmatch(_ISO), bool)
    if iso.all():
        return _strict(text.str.slice(0, 10), "%Y-%m-%d", where), ""
    if np.asarray(text.str.fullmatch(r"\d{8}"), bool).all():
        return _strict(text, _COMPACT, where), ""
    if iso.any():
        raise _mixed(where, text[iso][0], text[~iso][0])
    if np.asarray(text.str.fullmatch(_EPOCH), bool).all():
        return _since_1970(text, where)
    text = text.str.replace(_TIME, "", regex=True)
    readings = {form: pd.to_datetime(text, format=form, errors="coerce") for form in _FORMATS}
    whole = [form for form, dates in readings.items() if not dates.isna().any()]
    if len(whole) == 1:
        return readings[whole[0]].to_numpy().astype("datetime64[s]"), _FORMATS[whole[0]]
    if whole:
        raise DataRejectedError(
            f"{where}: dates such as {text[0][:40]!r} can be read day or month first, and none decides. {_ADVICE}"
        )
    best = max(readings.values(), key=lambda dates: int(np.count_nonzero(dates.notna())))
    read, unread = text[np.asarray(best.notna())], text[np.asarray(best.isna())]
    if len(read):
        raise _mixed(where, read[0], unread[0])
    raise DataRejectedError(f"{where}: {unread[0][:40]!r} is no date that Foundry can read. {_ADVICE}")


def _since_1970(text: pd.Index, where: str) -> tuple[DateArray, str]:
    """Days (UTC) of times since 1970, and the name of their unit. The magnitude determines the unit for years from 1973 on.

    If the UTC day differs from the exchange's day, some bars fall on weekends, and the calendar check refuses them.
    """
    numbers = text.str.replace(".0", "", regex=False).astype("int64").to_numpy()
    for unit, name in _EPOCH_UNITS.items():
        years = numbers.astype(f"datetime64[{unit}]").astype("datetime64[Y]").astype(int) + 1970
        if ((years > 1972) & (years <= _LAST_YEAR)).all():
            days = numbers.astype(f"datetime64[{unit}]").astype("datetime64[D]")
            return days.astype("datetime64[s]"), f"as {name} since 1970, in UTC"
    raise DataRejectedError(f"{where}: {text[0][:40]!r} is no date that Foundry can read. {_ADVICE}")


def _strict(text: pd.Index, form: str, where: str) -> DateArray:
    dates = pd.to_datetime(text, format=form, errors="coerce")
    if dates.isna().any():
        raise DataRejectedError(f"{where}: {text[dates.isna()][0][:40]!r} is no date of the calendar. {_ADVICE}")
    return dates.to_numpy().astype("datetime64[s]")


def _mixed(where: str, one: str, other: str) -> DataRejectedError:
    return DataRejectedError(
        f"{where}: dates in more than one format, such as {one[:40]!r} and {other[:40]!r}. {_ADVICE}"
    )
