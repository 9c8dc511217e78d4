"""foundry_audit: how often the gates promote noise, and how often they find an edge that is there, on simulated markets.

By hand, and after a change of policy; a hundred markets of each kind take minutes.
"""

from _notices import FailureNotice
from _stages import trigger_form, wire
from airflow.sdk import DAG

with DAG(
    dag_id="foundry_audit",
    description="null markets, planted edges and planted leaks through the whole pipeline",
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
