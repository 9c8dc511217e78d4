"""Which stage of which run: everything that a stage follows from."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything a stage follows from."""

    dag: str
    run_id: str
    stage: str
    shard: str | None
    as_of: date


def last_completed_session(moment: datetime) -> date:
    """The as-of of a run that starts at `moment`: a session is complete once its day is over.

    The day before; whether it was a session, the calendar knows.
    """
    return (moment - timedelta(days=1)).date()
