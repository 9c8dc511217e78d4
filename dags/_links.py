"""Links of a task in Airflow's UI: to the run's report and to the model version in MLflow."""

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom
from airflow.sdk.types import TaskInstanceKey

from foundry_tasks.contract.artifacts import page_key
from foundry_tasks.contract.environment_variables import Settings


class ReportLink(BaseOperatorLink):
    """The run's report, if FOUNDRY_REPORTS_URL is set."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        base = Settings.from_environment().reports_url.rstrip("/")
        return f"{base}/{page_key(ti_key.dag_id, ti_key.run_id, 'report.html')}" if base else ""


class ModelLink(BaseOperatorLink):
    """The model version in MLflow, if FOUNDRY_MLFLOW_URL or FOUNDRY_MLFLOW_URI is a server.

    With several versions: a champion's version, else the first.
    """

    name = "MLflow"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - as above
        settings = Settings.from_environment()
        base = (settings.mlflow_url or settings.mlflow_uri).rstrip("/")
        returned = XCom.get_value(ti_key=ti_key, key="return_value") or {"metrics": {}}
        versions = sorted(returned["metrics"].values(), key=lambda item: item["champion_after"] != item["version"])
        if not versions or not base.startswith("http"):
            return ""
        return f"{base}/#/models/{versions[0]['model']}/versions/{versions[0]['version']}"


LINKS = {"report": (ReportLink(),), "promote": (ModelLink(),), "decide": (ModelLink(),)}
"""Stage → links of its task."""
