"""A run of a paused DAG stays queued. Airflow's form unpauses the DAG; a shell and REST do not, so they are told here.

A shell reads the warning, and whoever asks over REST what became of the run reads its note. Airflow has no hook for a run
that is created, so these are SQLAlchemy's.
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
    """Before new rows are written: keep those that are runs of ours by hand."""
    runs = [new for new in session.new if type(new).__name__ == "DagRun" and new.dag_id.startswith("foundry_")]
    session.info.setdefault(_NEW, []).extend(run for run in runs if getattr(run.triggered_by, "value", "") in _TOLD)


def tell(session: "Session") -> None:
    """Before they are committed: a warning and a note, where nobody wrote another, on those that wait."""
    for run in session.info.pop(_NEW, ()):
        from airflow.models.dag import DagModel  # noqa: PLC0415 - a worker loads plugins too, and has no database

        dag = session.get(DagModel, run.dag_id)
        if dag is not None and dag.is_paused:
            note = f"{run.dag_id} is paused, so this run stays queued until `airflow dags unpause {run.dag_id}`."
            log.warning("%s: %s", run.run_id, note)
            run.note = run.note or note


class PausedRunsPlugin(AirflowPlugin):
    """Tells whoever triggers a paused DAG by a shell or over REST."""

    name = "foundry_paused_runs"

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        """Listen to every session of SQLAlchemy, once a process."""
        from sqlalchemy import event  # noqa: PLC0415 - as above
        from sqlalchemy.orm import Session  # noqa: PLC0415

        for moment, listener in (("before_flush", collect), ("before_commit", tell)):
            if not event.contains(Session, moment, listener):
                event.listen(Session, moment, listener)
