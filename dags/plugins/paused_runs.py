"""Warns about runs of paused DAGs, which stay queued. Airflow's form unpauses the DAG; the CLI and REST do not.

The CLI shows a log warning; over REST the run has a note. Airflow has no hook for a created run, so this uses SQLAlchemy's
session events.
"""

import logging
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
_TOLD = {"cli", "rest_api"}
_NEW = "foundry_new_runs"


def collect(session: "Session", *_: Any) -> None:
    """Before flush: collect new manual runs of Foundry's DAGs."""
    runs = [new for new in session.new if type(new).__name__ == "DagRun" and new.dag_id.startswith("foundry_")]
    session.info.setdefault(_NEW, []).extend(run for run in runs if getattr(run.triggered_by, "value", "") in _TOLD)


def tell(session: "Session") -> None:
    """Before commit: log a warning for each run of a paused DAG, and add a note unless it has one."""
    for run in session.info.pop(_NEW, ()):
        from airflow.models.dag import DagModel  # noqa: PLC0415 - workers load plugins too, without a database

        dag = session.get(DagModel, run.dag_id)
        if dag is not None and dag.is_paused:
            note = f"{run.dag_id} is paused, so this run stays queued until `airflow dags unpause {run.dag_id}`."
            log.warning("%s: %s", run.run_id, note)
            run.note = run.note or note


class PausedRunsPlugin(AirflowPlugin):
    """Registers the SQLAlchemy listeners."""

    name = "foundry_paused_runs"

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        """Add the listeners for all sessions, once per process."""
        from sqlalchemy import event  # noqa: PLC0415 - as above
        from sqlalchemy.orm import Session  # noqa: PLC0415

        for moment, listener in (("before_flush", collect), ("before_commit", tell)):
            if not event.contains(Session, moment, listener):
                event.listen(Session, moment, listener)
