"""Sessions of exchange calendars. A calendar is loaded at its first use: 0.1 s for the import beyond pandas, 0.1 s for each."""

import warnings
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import DateArray

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

_MARGIN_DAYS = 40
"""Days loaded before and after a range, for the sessions next to it; longer than any closure of an exchange."""
_known: dict[str, tuple[date, date, "ExchangeCalendar"]] = {}
"""Calendar name → first and last loaded day, and the calendar. The range is extended when needed."""


def _with_margin(name: str, first: date, last: date) -> "ExchangeCalendar":
    """A calendar that covers `first` to `last` and, where the calendar extends so far, `_MARGIN_DAYS` on both sides.

    Raises ConfigError for an unknown calendar or a range outside it.
    """
    if name not in _known:
        calendar = _opened(name)
        _known[name] = calendar.first_session.date(), calendar.last_session.date(), calendar
    begin, end, calendar = _known[name]
    margin = timedelta(days=_MARGIN_DAYS)
    if first - margin < begin or last + margin > end:
        earliest, latest = (bound and bound.date() for bound in (calendar.bound_min(), calendar.bound_max()))
        begin = max(min(begin, first - margin), earliest or date.min)
        end = min(max(end, last + margin), latest or date.max)
        if first < begin or last > end:
            raise ConfigError(
                f"calendar={name!r} is known from {earliest or 'the beginning'} to {latest or 'any day'}; {first} to {last} "
                "is asked for. Set start and end within it, or install a newer exchange_calendars."
            )
        if (begin, end) != _known[name][:2]:
            _known[name] = begin, end, _opened(name, begin, end)
    return _known[name][2]


def _opened(name: str, begin: date | None = None, end: date | None = None) -> "ExchangeCalendar":
    """Load a calendar; without a range, the last twenty years. Raises ConfigError for an unknown name."""
    import exchange_calendars  # noqa: PLC0415 - only stages that need sessions pay for it
    from exchange_calendars.errors import InvalidCalendarName  # noqa: PLC0415 - as above

    # exchange_calendars 4.13 makes pandas 3.1 emit a harmless DeprecationWarning.
    warnings.filterwarnings("ignore", message="Series.values returning", category=DeprecationWarning)
    try:
        return exchange_calendars.get_calendar(name, start=begin and begin.isoformat(), end=end and end.isoformat())
    except InvalidCalendarName as error:
        raise ConfigError(
            f"calendar={name!r} is no exchange calendar. Use an ISO 10383 market code such as XNYS, XLON or XTKS."
        ) from error


def sessions_between(calendar: str, first: date, last: date) -> DateArray:
    """(n_sessions,) datetime64[D]: the sessions from `first` to `last`, both included.

    Raises ConfigError for an unknown calendar or a range outside it.

    >>> sessions_between("XNYS", date(2024, 7, 3), date(2024, 7, 8)).astype(str).tolist()
    ['2024-07-03', '2024-07-05', '2024-07-08']
    """
    known: DateArray = _with_margin(calendar, first, last).sessions.to_numpy().astype("datetime64[D]")
    return known[(known >= np.datetime64(first)) & (known <= np.datetime64(last))]


def next_openings(calendar: str, days: DateArray) -> DateArray:
    """(n_days,) datetime64[s] in UTC: opening of the first session after each day. days: (n_days,) datetime64[D], ascending.

    Raises ConfigError as `sessions_between` does.
    """
    found = _with_margin(calendar, days[0].item(), days[-1].item())
    sessions = found.sessions.to_numpy().astype("datetime64[D]")
    opens: DateArray = found.opens.dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    return opens[np.searchsorted(sessions, days, side="right")]


def is_session(calendar: str, day: date) -> bool:
    """Whether `day` is a session. Raises ConfigError as `sessions_between` does."""
    return len(sessions_between(calendar, day, day)) == 1


def latest_session(calendar: str, day: date) -> date:
    """The last session on or before `day`. Raises ConfigError as `sessions_between` does."""
    found: date = sessions_between(calendar, day - timedelta(days=_MARGIN_DAYS), day)[-1].item()
    return found


def session_before(calendar: str, day: date, n_sessions: int) -> date:
    """The session `n_sessions` before `latest_session(calendar, day)`. Raises ConfigError as `sessions_between` does."""
    days = _MARGIN_DAYS + 2 * n_sessions
    found: date = sessions_between(calendar, day - timedelta(days=days), day)[-1 - n_sessions].item()
    return found
