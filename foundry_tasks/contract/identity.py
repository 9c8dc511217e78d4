"""Identity of a stage's execution: DAG, run, stage, shard and as-of."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Identity:
    """One execution of a stage.

    shard: None where the stage is not mapped. as_of: last completed session before the run.
    """

    dag: str
    run_id: str
    stage: str
    shard: str | None
    as_of: date


def last_completed_session(moment: datetime) -> date:
    """As-of of a run that starts at `moment`: the day before, since a session is complete once its day is over.

    The day may be no session; the prices stage then moves as-of back to one.
    """
    return (moment - timedelta(days=1)).date()
