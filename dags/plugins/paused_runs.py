"""A run of a paused DAG stays queued. Airflow's form unpauses the DAG; a shell and REST do not, so they are told here."""

import logging
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)


def tell(session: "Session", *_: Any) -> None:
    """Before new rows are written: a note on each run of ours that waits for its DAG to be unpaused, and a warning."""
    for run in [new for new in session.new if type(new).__name__ == "DagRun" and new.dag_id.startswith("foundry_")]:
        if run.triggered_by is None or run.triggered_by.value not in {"cli", "rest_api"}:
            continue
        from airflow.models.dag import DagModel  # noqa: PLC0415 - a worker loads plugins too, and has no database

        dag = session.get(DagModel, run.dag_id)
        if dag is not None and dag.is_paused:
            run.note = (
                f"{run.dag_id} is paused, so this run stays queued. It starts after `airflow dags unpause {run.dag_id}`."
            )
            log.warning("%s %s", run.run_id, run.note)


class PausedRunsPlugin(AirflowPlugin):
    """Airflow has no hook for a run that is created, so this one is SQLAlchemy's."""

    name = "foundry_paused_runs"

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        from sqlalchemy import event  # noqa: PLC0415 - as above
        from sqlalchemy.orm import Session  # noqa: PLC0415

        if not event.contains(Session, "before_flush", tell):
            event.listen(Session, "before_flush", tell)
