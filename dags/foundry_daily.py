"""foundry_daily: the champion's predictions, before every session of the New York exchange.

Unpause it once `source` is a live source, set in a market file (FOUNDRY_MARKETS) or in the form.
"""

from _notices import FailureNotice
from _stages import trigger_form, wire
from airflow.sdk import DAG
from exchange_sessions import ExchangeSessions

with DAG(
    dag_id="foundry_daily",
    description="prices → features → predict → monitor → report, with the champion",
    schedule=ExchangeSessions("XNYS", at="08:15", timezone="America/New_York"),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args={"on_failure_callback": FailureNotice()},
    params=trigger_form("foundry_daily", skip_closed=True),
    tags=["foundry"],
    doc_md=__doc__,
) as dag:
    wire("foundry_daily")
