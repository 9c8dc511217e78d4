"""A person approves before a champion moves; name and reason go into the conf of the next stage."""

from datetime import timedelta

from _notices import ApprovalNotice
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context, Param

TASK = "approval"
_PATIENCE = timedelta(days=7)


def approval() -> ApprovalOperator:
    """A task that waits for a person's approval and reason. A rejection skips the tasks after it."""
    version = "{{ ' version ' ~ params.version if params.version else '' }}"
    return ApprovalOperator(
        task_id=TASK,
        subject="{{ params.action }} {{ params.model }}" + version,
        body=(
            "`approve` promotes a near miss; a version that the gates refused stays refused. `rollback` promotes an earlier "
            "champion again; without a version, the previous one. Your name and your reason are written to the ledger."
        ),
        params={"reason": Param(None, type=["null", "string"], description="The reason, for the ledger. Required.")},
        notifiers=[ApprovalNotice()],
        response_timeout=_PATIENCE,
    )


def with_answer(context: Context) -> None:
    """Write the approver's name and reason into the conf of the stage that starts next."""
    answer = context["ti"].xcom_pull(task_ids=TASK)
    user = answer["responded_by_user"]
    context["params"]["who"] = user["name"] or user["id"]
    context["params"]["why"] = answer["params_input"].get("reason") or ""
