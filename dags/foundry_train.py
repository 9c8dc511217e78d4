"""foundry_train: from prices to a promoted or a refused model. An empty field means its default.

Runs weekly, before the first session of the week, and when a person triggers it.
"""

from _notices import FailureNotice
from _stages import trigger_form, wire
from airflow.sdk import DAG
from exchange_sessions import ExchangeSessions

with DAG(
    dag_id="foundry_train",
    description="prices → features → labels → models → ensemble → leakage → gates → refit → promote → predict → report",
    schedule=ExchangeSessions("XNYS", at="02:00", timezone="America/New_York", weekly=True),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args={"on_failure_callback": FailureNotice()},
    params=trigger_form("foundry_train"),
    tags=["foundry"],
    doc_md=__doc__,
) as dag:
    wire("foundry_train")
