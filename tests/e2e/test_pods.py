"""foundry_train in Airflow with FOUNDRY_RUNTIME=kubernetes and the chart's settings of the scheduler: the exact pods."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime

import pytest
from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value
from airflow.version import version as airflow_version

from foundry_tasks.contract.artifacts import run_key
from foundry_tasks.contract.environment_variables import REPOSITORY, Settings
from foundry_tasks.contract.errors import FoundryError
from foundry_tasks.contract.stages import PIPELINES, STAGES
from tests.chart.conftest import helm  # noqa: F401 - a fixture
from tests.chart.helm import workloads
from tests.chart.kubernetes import VERSIONS, restricted_faults, schema_fault
from tests.e2e.foundry_here import Foundry
from tests.kubernetes_api import KubernetesApi, kubeconfig

pytestmark = pytest.mark.slow(40)
PATIENCE_S = 300


class Run:
    """A run of foundry_train on the market of `helm test`. The stages run here in place of the pods."""

    def __init__(self, folder, told, configured):
        """told: environment of the chart's scheduler. configured: name of a ConfigMap → its files."""
        for name, files in configured.items():
            (folder / name).mkdir()
            for file, text in files.items():
                (folder / name / file).write_text(text)
        self.foundry = Foundry(folder, Settings(store=str(folder / "store"), markets=str(folder / "foundry-markets")))
        self.told = told | {
            "FOUNDRY_STORE": self.foundry.settings.store,
            "FOUNDRY_MARKETS": self.foundry.settings.markets,
            "FOUNDRY_POD_TEMPLATES": str(folder / "foundry-pod-templates"),
        }
        self.api = KubernetesApi(self.work)
        self.environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "dags" / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "KUBECONFIG": kubeconfig(self.api.server, folder / "kubeconfig"),
            "PYTHONWARNINGS": "ignore",
        } | self.told  # fmt: skip

    def work(self, pod):
        """Do the work of the pod's container."""
        stage, *rest = pod["spec"]["containers"][0]["args"]
        said = dict(zip(rest[::2], rest[1::2], strict=True))
        try:
            self.foundry.stage(
                stage, said["--run-id"], json.loads(said["--config"]), said["--dag"], said.get("--shard"),
                as_of=date.fromisoformat(said["--as-of"]),
            )  # fmt: skip
        except FoundryError as error:
            return error.exit_code, f"foundry: {error}"
        return 0, f"{stage} is done\n"

    def airflow(self, *command):
        ended = subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            env=self.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def run(helm, tmp_path_factory):  # noqa: F811 - the fixture
    folder = tmp_path_factory.mktemp("pods")
    scheduler = workloads(helm.objects("values-local"))["foundry-scheduler"]["spec"]["containers"][0]
    told = {one["name"]: one["value"] for one in scheduler["env"] if one["name"].startswith("FOUNDRY_")}
    names = ("foundry-markets", "foundry-pod-templates")
    here = Run(folder, told, {name: helm.find("ConfigMap", name, "values-local")["data"] for name in names})
    here.airflow("db", "migrate")
    here.log = here.airflow("dags", "test", "foundry_train", "--conf", json.dumps({"market": "helm_test"}))
    yield here
    here.api.close()


def bare(one):
    """An object without empty values, since the client also sends empty lists."""
    if isinstance(one, dict):
        return {key: bare(value) for key, value in one.items() if value not in ({}, [])}
    return [bare(value) for value in one] if isinstance(one, list) else one


def pod_of(run, stage):
    (pod,) = [pod for pod in run.api.made if pod["metadata"]["labels"]["foundry.stage"] == stage]
    return bare(pod)


def test_every_stage_is_one_pod_and_no_pod_is_left(run):
    made = [pod["spec"]["containers"][0]["args"][0] for pod in run.api.made]
    assert sorted(made) == sorted(PIPELINES["foundry_train"])
    assert run.api.pods == {}


def test_the_pod_is_the_charts_template_under_the_stages_command_environment_limits_and_hardening(run):
    pod = pod_of(run, "labels")
    spec, image, run_id = STAGES["labels"], run.told["FOUNDRY_IMAGE_CPU"], pod["spec"]["containers"][0]["args"][4]
    limits = {"cpu": f"{spec.cpus:g}", "memory": f"{spec.memory_mb}Mi"}
    label = make_safe_label_value(run_id)
    assert re.fullmatch(r"foundry-labels-[a-z0-9]{8}", pod["metadata"].pop("name"))
    assert date.fromisoformat(pod["spec"]["containers"][0]["args"].pop(6)) <= datetime.now(UTC).date()
    assert pod == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "foundry-stages",
            "labels": {
                "app.kubernetes.io/part-of": "foundry", "app.kubernetes.io/instance": "foundry",
                "foundry.managed": "true", "foundry.network": "stages",
                "foundry.dag": "foundry_train", "foundry.run": run_key(run_id),
                "foundry.stage": "labels", "foundry.shard": "whole",
                "kubernetes_pod_operator": "True", "airflow_kpo_in_cluster": "False", "airflow_version": airflow_version,
                "dag_id": "foundry_train", "task_id": "labels", "run_id": label, "try_number": "1",
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": "foundry-stage",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "hostNetwork": False,
            "activeDeadlineSeconds": spec.timeout_s,
            "terminationGracePeriodSeconds": 30,
            "securityContext": {"fsGroup": 10001},
            "containers": [
                {
                    "name": "base",
                    "image": image,
                    "imagePullPolicy": "Never",
                    "command": ["foundry"],
                    "args": [
                        "labels", "--dag", "foundry_train", "--run-id", run_id, "--as-of",
                        "--config", '{"market": "helm_test"}',
                    ],
                    "env": [
                        {"name": "FOUNDRY_STORE", "value": run.told["FOUNDRY_STORE"]},
                        {"name": "FOUNDRY_S3_ENDPOINT", "value": "http://foundry-s3.foundry.svc:7070"},
                        {"name": "FOUNDRY_SECRETS", "value": "/run/foundry/secrets"},
                        {"name": "FOUNDRY_MLFLOW_URI", "value": "http://foundry-mlflow.foundry.svc:5000"},
                        {"name": "FOUNDRY_MARKETS", "value": run.told["FOUNDRY_MARKETS"]},
                        {"name": "FOUNDRY_IMAGE_DIGEST", "value": image},
                        {"name": "FOUNDRY_RUNTIME", "value": "kubernetes"},
                    ],
                    "resources": {"limits": limits, "requests": limits},
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "securityContext": {
                        "runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001,
                        "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "volumeMounts": [
                        {"name": "markets", "mountPath": "/run/foundry/markets", "readOnly": True},
                        {"name": "workspace", "mountPath": "/tmp"},  # noqa: S108 - inside the pod
                        {"name": "secrets", "mountPath": "/run/foundry/secrets", "readOnly": True},
                    ],
                }
            ],
            "volumes": [
                {"name": "markets", "configMap": {"name": "foundry-markets"}},
                {"name": "workspace", "emptyDir": {"sizeLimit": "16Gi"}},
                {"name": "secrets", "secret": {"secretName": "foundry-stage", "defaultMode": 0o440}},
            ],
        },
    }  # fmt: skip


def test_what_writes_the_registry_has_the_keys_of_the_ledger_and_prices_the_way_out(run):
    assert pod_of(run, "promote")["spec"]["volumes"][-1]["secret"]["secretName"] == "foundry-promote"
    networks = {
        stage: pod_of(run, stage)["metadata"]["labels"]["foundry.network"] for stage in PIPELINES["foundry_train"]
    }
    assert {stage for stage, network in networks.items() if network == "outside"} == {"prices"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_pod_is_one_that_kubernetes_knows(run, version):
    assert {schema_fault(pod, version) for pod in run.api.made} == {""}


def test_every_pod_passes_the_restricted_profile(run):
    assert [fault for pod in run.api.made for fault in restricted_faults(pod)] == []
