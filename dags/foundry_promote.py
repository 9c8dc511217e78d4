"""foundry_promote: make a challenger or an earlier version the champion, or change a policy, after a person's approval."""

from _approval import approval, briefing, with_answer
from _notices import FailureNotice
from _stages import stage
from airflow.sdk import DAG, Param

from foundry_tasks.contract.config import MARKET_NAME

with DAG(
    dag_id="foundry_promote",
    description="approval by a person → decide",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={"on_failure_callback": FailureNotice()},
    params={
        "action": Param(
            "approve",
            enum=["approve", "rollback", "policy"],
            description="approve: promote a challenger; rollback: go back; policy: change the policy of a market.",
        ),
        "model": Param("foundry-us-5d", type="string", minLength=1, description="Registered model. Not for policy."),
        "version": Param(
            None, type=["null", "integer"], minimum=1, description="Empty: the champion before, for a rollback."
        ),
        "market": Param("us", type="string", pattern=MARKET_NAME, description="Market. For policy only."),
        "changes": Param(
            None, type=["null", "string"], description="Such as `min_auc=0.53 folds=4`, with blanks. For policy only."
        ),
    },
    tags=["foundry"],
    doc_md=__doc__,
) as dag:
    briefing() >> approval() >> stage("decide", pre_execute=with_answer)
