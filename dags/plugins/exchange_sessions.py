"""A timetable on exchange calendars: a DAG fires at a local time of every session, or of the first session of a week.

Airflow finds it through AIRFLOW__CORE__PLUGINS_FOLDER, which every component needs: the one that parses DAGs, the
scheduler and the API server.
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
    """Fires at a time of day on the sessions of an exchange, holidays left out and daylight saving observed.

    calendar: ISO 10383 market code. at: HH:MM on the clocks of `timezone`. weekly: the first session of each week alone.
    Of runs that were missed while nobody scheduled, the newest is made good and no other, unless the DAG catches up.
    """

    def __init__(self, calendar: str, *, at: str, timezone: str, weekly: bool = False) -> None:
        self.calendar = calendar
        self.at = at
        self.timezone = timezone
        self.weekly = weekly
        self.description = f"{self.summary} ({timezone})"

    @property
    def summary(self) -> str:
        """What the list of DAGs shows."""
        return f"{self.at} on {'the first session of a week' if self.weekly else 'sessions'} of {self.calendar}"

    def serialize(self) -> dict[str, Any]:
        """The arguments as JSON, for the serialized DAG."""
        return {"calendar": self.calendar, "at": self.at, "timezone": self.timezone, "weekly": self.weekly}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> "ExchangeSessions":
        """The timetable of a serialized DAG."""
        return cls(data["calendar"], at=data["at"], timezone=data["timezone"], weekly=data["weekly"])

    def validate(self) -> None:
        """Refuse a time or a time zone that there is not; the calendar is looked up by the scheduler alone."""
        ZoneInfo(self.timezone)
        time.fromisoformat(self.at)

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        """The moment itself: a run by hand covers no time."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next scheduled run, None where the DAG has ended or its start is unknown.

        Without catch-up it is the newest missed firing, and at first the next one after now.
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
        """The first firing after `moment`, or at it."""
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
    import exchange_calendars  # noqa: PLC0415 - it brings pandas, and only who schedules asks for sessions

    # exchange_calendars 4.13 asks pandas 3.1 in an old way, to no harm.
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
    """Lets Airflow read a DAG that fires by ExchangeSessions."""

    name = "foundry"
    timetables = [ExchangeSessions]  # noqa: RUF012 - Airflow's own way
