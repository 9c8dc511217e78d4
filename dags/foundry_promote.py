"""foundry_promote: make a near miss or an earlier version the champion, after a person's approval."""

from _approval import approval, with_answer
from _notices import FailureNotice
from _stages import stage
from airflow.sdk import DAG, Param

with DAG(
    dag_id="foundry_promote",
    description="approval by a person → decide",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={"on_failure_callback": FailureNotice()},
    params={
        "model": Param("foundry-us-5d", type="string", minLength=1, description="Registered model."),
        "action": Param(
            "approve", enum=["approve", "rollback"], description="approve: promote a near miss; rollback: go back."
        ),
        "version": Param(
            None, type=["null", "integer"], minimum=1, description="Empty: the champion before, for a rollback."
        ),
    },
    tags=["foundry"],
    doc_md=__doc__,
) as dag:
    approval() >> stage("decide", pre_execute=with_answer)
