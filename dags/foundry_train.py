"""foundry_train: from prices to a promoted model, or to an honest refusal. A field left empty has its default."""

from _stages import trigger_form, wire
from airflow.sdk import DAG

with DAG(
    dag_id="foundry_train",
    description="prices → features → labels → models → ensemble → leakage → gates → refit → promote → predict → report",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=trigger_form("foundry_train"),
    tags=["foundry"],
    doc_md=__doc__,
) as dag:
    wire("foundry_train")
