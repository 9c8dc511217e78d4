"""Read and check the keys, date and ticker, of rows that are sent to a served model. Errors name the rows."""

import re
from collections.abc import Callable, Hashable, Sequence
from datetime import date, datetime, time

import numpy as np
import numpy.typing as npt
import pandas as pd

from foundry_tasks.contract.errors import ConfigError, DataRejectedError
from foundry_tasks.data.dates import is_plausible
from foundry_tasks.data.panel import DateArray
from foundry_tasks.data.sessions import sessions_between

Faults = npt.NDArray[np.bool_]
Cell = object
"""A value of a column as sent, of any type."""
Read = tuple[date | str | None, str]
"""A value as it was read, and its fault; "" if it has none."""

_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)?)?")
_MIDNIGHT = re.compile(r"[0:.]*")
_NUMBER = re.compile(r"(-?\d{1,20})(?:\.0*)?")
_COMPACT = range(1900_01_01, 2200_00_00)
_EPOCH_DAYS = range(365, 84_006)
"""1971 to 2199, in days since 1970: in this range at most one of the units below fits a number."""
_UNITS_A_DAY = tuple(86_400 * 1000**power for power in range(4))
"""Seconds, milliseconds, microseconds, nanoseconds."""
_DAY_0 = date(1970, 1, 1).toordinal()
_MISSING_AS_TEXT = {"", "nan", "NaN", "None", "null", "NaT", "<NA>"}
"""Texts that pandas, NumPy and JSON write for a missing value. NA, NAN and NULL are valid tickers."""
_UNREADABLE = "{} is no date that the model can read"
_NO_DAY = "{} is not a day of the calendar"
_NAMED_ROWS = 5

_DATE_ADVICE = "Send every date as YYYY-MM-DD, or as epoch milliseconds at midnight UTC."
_TICKER_ADVICE = "Send every ticker as text. pandas.read_csv loses a ticker NA unless keep_default_na=False."


def read_keys(rows: pd.DataFrame, calendar: str | None) -> tuple[DateArray, npt.NDArray[np.object_]]:
    """date and ticker of every row: (n_rows,) datetime64[D], (n_rows,) str.

    rows: columns `date` and `ticker` of any type. A date is YYYY-MM-DD, YYYYMMDD, a datetime at midnight, or seconds,
    milliseconds, microseconds or nanoseconds since 1970; the magnitude determines the unit. Rows may differ in format.
    calendar: an exchange calendar; None: every weekday is a session. Raises DataRejectedError, which names the rows, counted
    from 1: a key is missing or unreadable, a date has a time of day or is no session, or a pair of date and ticker is repeated.
    """
    distinct, places = _read(rows["date"], "date", _as_day, _DATE_ADVICE)
    days = distinct.astype("datetime64[D]")[places]
    distinct, places = _read(rows["ticker"], "ticker", _as_ticker, _TICKER_ADVICE)
    tickers = distinct[places]
    _refuse_closed(days, calendar)
    _refuse_repeated(days, tickers)
    return days, tickers


def refuse_columns(given: Sequence[Hashable], features: tuple[str, ...]) -> None:
    """Check that `given` holds date, ticker and each of `features` exactly once. Raises DataRejectedError if it does not."""
    needed = ("date", "ticker", *features)
    for name in needed:
        if given.count(name) != 1:
            what = "there more than once" if name in given else "missing"
            raise DataRejectedError(f"column {name} is {what}. Send each of {', '.join(needed)} once.")


def _read(
    column: pd.Series, name: str, reader: Callable[[Cell], Read], advice: str
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.intp]]:
    """The distinct values of a column as `reader` reads them, and each row's index into them. Raises DataRejectedError."""
    if pd.api.types.is_object_dtype(column):
        column = column.map(lambda value: value if pd.api.types.is_scalar(value) else repr(value).encode())
    if column.dtype.kind == "M":
        reader = _undo_nanoseconds(reader)
    places, distinct = pd.factorize(column, use_na_sentinel=False)
    stripped = (value.strip() if isinstance(value, str) else value for value in distinct)
    missing = None, f"{name} is missing"
    found = [missing if pd.isna(value) or value in _MISSING_AS_TEXT else reader(value) for value in stripped]
    for fault in dict.fromkeys(fault for _, fault in found if fault):
        wrong = np.array([its == fault for _, its in found])[places]
        value = column.iloc[int(wrong.argmax())]
        _refuse(wrong, fault.replace("{}", f"{name} {str(value)[:40]!r}"), advice)
    return np.array([value for value, _ in found], dtype=np.object_), places


def _as_day(value: Cell) -> Read:
    if isinstance(value, datetime):
        at_midnight = value.time() == time.min and not getattr(value, "nanosecond", 0)
        return _checked(value.date(), at_midnight=at_midnight)
    if isinstance(value, date):
        return _checked(value, at_midnight=True)
    if isinstance(value, str):
        return _from_text(value)
    number = _whole(value)
    return (None, _UNREADABLE) if number is None else _from_number(number)


def _from_text(text: str) -> Read:
    if written := _NUMBER.fullmatch(text):
        return _from_number(int(written[1]))
    written = _ISO.fullmatch(text)
    if written is None:
        return None, _UNREADABLE
    try:
        day = date.fromisoformat(written[1])
    except ValueError:
        return None, _NO_DAY
    return _checked(day, at_midnight=_MIDNIGHT.fullmatch(written[2] or "") is not None)


def _from_number(number: int) -> Read:
    if number in _COMPACT:
        try:
            return date(number // 10_000, number // 100 % 100, number % 100), ""
        except ValueError:
            return None, _NO_DAY
    for units in _UNITS_A_DAY:
        days, rest = divmod(number, units)
        if days in _EPOCH_DAYS:
            return _checked(date.fromordinal(_DAY_0 + days), at_midnight=rest == 0)
    return None, "{} is neither YYYYMMDD nor seconds, milliseconds, microseconds or nanoseconds since 1970"


def _checked(day: date, *, at_midnight: bool) -> Read:
    if not is_plausible(day):
        return None, "{} is no date of a market"
    return (day, "") if at_midnight else (None, "{} has a time of day, and a session is a whole day")


def _undo_nanoseconds(reader: Callable[[Cell], Read]) -> Callable[[Cell], Read]:
    """A reader for datetimes that pandas made from numbers, as nanoseconds: epoch milliseconds became times on 1970-01-01."""

    def read(value: Cell) -> Read:
        if not isinstance(value, pd.Timestamp) or value.year != 1970 or value.tzinfo is not None:
            return reader(value)
        if value == value.normalize():
            return reader(value)
        return _from_number(value.as_unit("ns").value)

    return read


def _as_ticker(value: Cell) -> Read:
    if isinstance(value, str):
        return value, ""
    number = _whole(value)
    return (None, "{} is not text") if number is None else (str(number), "")


def _whole(value: Cell) -> int | None:
    """The value as an int if it is a whole number, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return None
    return int(value) if value % 1 == 0 else None


def _refuse_closed(days: DateArray, calendar: str | None) -> None:
    distinct, places = np.unique(days, return_inverse=True)
    if not len(distinct):
        return
    if calendar is None:
        is_open = np.is_busday(distinct)
    else:
        try:
            is_open = np.isin(distinct, sessions_between(calendar, distinct[0].item(), distinct[-1].item()))
        except ConfigError:
            wrong = (days == distinct[0]) | (days == distinct[-1])
            _refuse(
                wrong,
                f"{distinct[0]} to {distinct[-1]} is more than the calendar {calendar} knows",
                "Send fewer years, or install a newer exchange_calendars where the model is served.",
            )
    wrong = ~is_open[places]
    what = f"session of {calendar}" if calendar else "weekday"
    _refuse(wrong, f"{days[wrong.argmax()]} is no {what}", "Send the sessions that the features belong to.")


def _refuse_repeated(days: DateArray, tickers: npt.NDArray[np.object_]) -> None:
    wrong = pd.DataFrame({"date": days.astype("datetime64[s]"), "ticker": tickers}).duplicated(keep=False).to_numpy()
    if wrong.any():
        first = int(wrong.argmax())
        same = (days == days[first]) & (tickers == tickers[first])
        n_others = int(wrong.sum() - same.sum())
        others = f"; {n_others:,} more rows repeat other keys" if n_others else ""
        what = f"{days[first]} {tickers[first][:40]!r} is there more than once{others}"
        _refuse(same, what, "Send a ticker once a session.")


def _refuse(wrong: Faults, what: str, advice: str) -> None:
    if wrong.any():
        raise DataRejectedError(f"{_named(wrong)}: {what}. {advice}")


def _named(wrong: Faults) -> str:
    """Text such as "rows 3, 5 of 20 (the first row is 1)". wrong: (n_rows,)."""
    places = np.flatnonzero(wrong)
    named = ", ".join(str(place + 1) for place in places[:_NAMED_ROWS])
    more = f" and {len(places) - _NAMED_ROWS:,} more" if len(places) > _NAMED_ROWS else ""
    return f"row{'s' if len(places) > 1 else ''} {named}{more} of {len(wrong):,} (the first row is 1)"
