"""A person approves before a champion moves or a policy changes; name and reason go into the conf of the next stage."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from _notices import ApprovalNotice
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context, Param, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import ConfigError, FoundryError
from foundry_tasks.contract.typed import conf_of_settings

TASK, BRIEFING = "approval", "briefing"
_PATIENCE = timedelta(days=7)
_NOBODY = "Anonymous"
"""Name of every person where Airflow's simple auth manager asks for no login."""


@task(task_id=BRIEFING, multiple_outputs=False, retries=2, retry_delay=timedelta(seconds=10))
def briefing(params: Mapping[str, Any] | None = None) -> str:
    """What the ledger says about the decision: verdict and look of a version, or old and new values of a policy."""
    from foundry_tasks.adapters.stores import open_store  # noqa: PLC0415 - DAG files are parsed without a store
    from foundry_tasks.ledger import briefing as told  # noqa: PLC0415 - as above

    asked, store = params or {}, open_store(Settings.from_environment())
    try:
        if asked["action"] == "policy":
            changes = conf_of_settings((asked["changes"] or "").split(), "changes")
            lines = told.on_policy(store, asked["market"], changes)
        elif asked["action"] == "rollback":
            lines = told.on_rollback(store, asked["model"], asked["version"])
        else:
            lines = told.on_version(store, asked["model"], asked["version"] or 0)
    except ConfigError as error:
        raise AirflowFailException(str(error)) from error
    except FoundryError as error:
        raise AirflowException(f"will be tried again: {error}") from error
    return "\n".join(f"- {line}" for line in lines)


def approval() -> ApprovalOperator:
    """A task that waits for a person's approval and reason. A rejection skips the tasks after it."""
    version = "{{ ' version ' ~ params.version if params.version else '' }}"
    return ApprovalOperator(
        task_id=TASK,
        subject=(
            "{% if params.action == 'policy' %}policy of {{ params.market }}: {{ params.changes }}{% else %}"
            "{{ params.action }} {{ params.model }}" + version + "{% endif %}"
        ),
        body=(
            "{{ ti.xcom_pull(task_ids='" + BRIEFING + "') }}\n\n"
            "`approve` promotes a challenger; a version that the gates refused stays refused. `rollback` promotes an earlier "
            "champion again; without a version, the previous one. `policy` changes what decides a market's verdicts. Your "
            "name and your reason are written to the ledger."
        ),
        params={"reason": Param(None, type=["null", "string"], description="The reason, for the ledger. Required.")},
        notifiers=[ApprovalNotice()],
        response_timeout=_PATIENCE,
    )


def with_answer(context: Context) -> None:
    """Write the approver's name and reason into the conf of the stage that starts next."""
    answer = context["ti"].xcom_pull(task_ids=TASK)
    user = answer["responded_by_user"]
    who = user["name"] or user["id"]
    context["params"]["who"] = who
    context["params"]["authenticated"] = who != _NOBODY
    context["params"]["why"] = answer["params_input"].get("reason") or ""
