"""Which days are sessions: exchange calendars, loaded when asked for (0.2 s on top of pandas, 0.2 s a calendar)."""

import warnings
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import DateArray

_MARGIN_DAYS = 40
"""Days beside a range, so that sessions next to it are known too; longer than any exchange was ever closed."""


@lru_cache(maxsize=4)
def _sessions(calendar: str, first: date, last: date) -> DateArray:
    import exchange_calendars  # noqa: PLC0415 - only stages that ask for sessions pay for it
    from exchange_calendars.errors import InvalidCalendarName  # noqa: PLC0415 - as above

    # exchange_calendars 4.13 asks pandas 3.1 in an old way, to no harm.
    warnings.filterwarnings("ignore", message="Series.values returning", category=DeprecationWarning)
    try:
        found = exchange_calendars.get_calendar(calendar, start=first.isoformat(), end=last.isoformat())
    except InvalidCalendarName as error:
        raise ConfigError(
            f"calendar={calendar!r} is no exchange calendar. Use an ISO 10383 market code such as XNYS, XLON or XTKS."
        ) from error
    sessions: DateArray = found.sessions.to_numpy().astype("datetime64[D]")
    return sessions


def sessions_between(calendar: str, first: date, last: date) -> DateArray:
    """The sessions from `first` to `last`, both included, as datetime64[D]. Raises ConfigError: unknown calendar."""
    margin = timedelta(days=_MARGIN_DAYS)
    known = _sessions(calendar, first - margin, last + margin)
    return known[(known >= np.datetime64(first)) & (known <= np.datetime64(last))]


def is_session(calendar: str, day: date) -> bool:
    """Whether the exchange is open on `day`."""
    return len(sessions_between(calendar, day, day)) == 1


def latest_session(calendar: str, day: date) -> date:
    """The last session on or before `day`."""
    found: date = sessions_between(calendar, day - timedelta(days=_MARGIN_DAYS), day)[-1].item()
    return found


def session_before(calendar: str, day: date, n_sessions: int) -> date:
    """The session `n_sessions` before the last session on or before `day`."""
    days = _MARGIN_DAYS + 2 * n_sessions
    found: date = sessions_between(calendar, day - timedelta(days=days), day)[-1 - n_sessions].item()
    return found
