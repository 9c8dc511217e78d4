"""A timetable on exchange calendars: a DAG runs at a local time on every session, or on each week's first session.

Airflow finds it through AIRFLOW__CORE__PLUGINS_FOLDER. The DAG processor, the scheduler and the API server need it.
"""

import warnings
from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
from airflow.plugins_manager import AirflowPlugin
from airflow.sdk.timezone import utcnow
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable

_WEEK = timedelta(days=7)


class ExchangeSessions(Timetable):
    """Fires at a local time on the sessions of an exchange; without holidays, with daylight saving time.

    calendar: ISO 10383 market code. at: HH:MM in `timezone`. weekly: only the first session of each week.
    If the scheduler was down, only the newest missed run is started, unless the DAG has catchup.
    """

    def __init__(self, calendar: str, *, at: str, timezone: str, weekly: bool = False) -> None:
        self.calendar = calendar
        self.at = at
        self.timezone = timezone
        self.weekly = weekly
        self.description = f"{self.summary} ({timezone})"

    @property
    def summary(self) -> str:
        """The text in Airflow's list of DAGs."""
        return f"{self.at} on {'the first session of a week' if self.weekly else 'sessions'} of {self.calendar}"

    def serialize(self) -> dict[str, Any]:
        """The arguments as JSON, for the serialized DAG."""
        return {"calendar": self.calendar, "at": self.at, "timezone": self.timezone, "weekly": self.weekly}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> "ExchangeSessions":
        """The timetable of a serialized DAG."""
        return cls(data["calendar"], at=data["at"], timezone=data["timezone"], weekly=data["weekly"])

    def validate(self) -> None:
        """Raise for an invalid time or time zone. Only the scheduler looks up the calendar."""
        ZoneInfo(self.timezone)
        time.fromisoformat(self.at)

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        """An empty interval: a manual run covers no time."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next scheduled run, None if the DAG has ended or its start is unknown.

        Without catchup: the newest missed firing; for a DAG that never ran, the next firing.
        """
        now = utcnow()
        last = last_automated_data_interval.end if last_automated_data_interval else None
        moments = [] if last is None else [self.following(last)]
        if restriction.earliest is not None:
            moments.append(self.following(restriction.earliest, or_then=True))
        if not restriction.catchup:
            moments.append(self.following(now) if last is None else self.preceding(now))
        if not moments:
            return None
        moment = max(moments)
        if restriction.latest is not None and moment > restriction.latest:
            return None
        return DagRunInfo.exact(pendulum.instance(moment))

    def following(self, moment: datetime, *, or_then: bool = False) -> datetime:
        """The first firing after `moment`; with `or_then` at or after it."""
        known = self._around(moment)
        return known[bisect_left(known, moment) if or_then else bisect_right(known, moment)]

    def preceding(self, moment: datetime) -> datetime:
        """The last firing at or before `moment`."""
        known = self._around(moment)
        return known[bisect_right(known, moment) - 1]

    def _around(self, moment: datetime) -> list[datetime]:
        years = range(moment.year - 1, moment.year + 2)
        return [fires for year in years for fires in firings(self.calendar, self.at, self.timezone, self.weekly, year)]


@lru_cache(maxsize=64)
def firings(calendar: str, at: str, timezone: str, weekly: bool, year: int) -> tuple[datetime, ...]:
    """Every firing of a year, in UTC, ascending."""
    import exchange_calendars  # noqa: PLC0415 - imports pandas; only the scheduler needs it

    # exchange_calendars 4.13 uses a call that pandas 3.1 deprecates; harmless.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Series.values returning", category=DeprecationWarning)
        first, last = date(year, 1, 1) - _WEEK, date(year, 12, 31)
        known = exchange_calendars.get_calendar(calendar, start=first.isoformat(), end=last.isoformat())
    sessions = [session.date() for session in known.sessions]
    if weekly:
        weeks = {session.isocalendar()[:2]: session for session in reversed(sessions)}
        sessions = sorted(weeks.values())
    clock = time.fromisoformat(at).replace(tzinfo=ZoneInfo(timezone))
    return tuple(datetime.combine(day, clock).astimezone(UTC) for day in sessions if day.year == year)


class FoundryPlugin(AirflowPlugin):
    """Registers ExchangeSessions with Airflow."""

    name = "foundry"
    timetables = [ExchangeSessions]  # noqa: RUF012 - as Airflow declares it
