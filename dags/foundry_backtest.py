"""foundry_backtest: what walk-forward forecasts would have earned after costs, checked by a forward simulation.

Run it by hand. An empty field means its default. `walk`, `folds`, `horizons` and `models` set what is fitted; `sizing`,
`holding_sessions` and the costs set what is traded. Nothing is registered.
"""

from _notices import FailureNotice
from _stages import trigger_form, wire
from airflow.sdk import DAG

with DAG(
    dag_id="foundry_backtest",
    description="prices → features → labels → models → ensemble → leakage → gates → portfolio → simulate → report",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={"on_failure_callback": FailureNotice()},
    params=trigger_form("foundry_backtest"),
    tags=["foundry"],
    doc_md=__doc__,
) as dag:
    wire("foundry_backtest")
