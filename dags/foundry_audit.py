"""foundry_audit: how often the gates promote noise, and how often they find a real edge.

Run it by hand, and after a change of policy. `audit` uses simulated markets with known truth: 100 of each kind take
minutes. `nulls` uses your own market: it fits the recipe `null_refits` times on shifted labels, which takes a night. Later
the gates of that market also use this refitted null. A further audit adds to it and replaces nothing.
"""

from _notices import FailureNotice
from _stages import trigger_form, wire
from airflow.sdk import DAG

with DAG(
    dag_id="foundry_audit",
    description="null markets, planted edges and leaks through the pipeline; prices → features → labels → nulls",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={"on_failure_callback": FailureNotice()},
    params=trigger_form("foundry_audit"),
    tags=["foundry"],
    doc_md=__doc__,
) as dag:
    wire("foundry_audit")
