"""Settings, Compose and the chart have the same keys, services, networks and logins."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from foundry_tasks.contract.environment_variables import PREFIX, Settings
from foundry_tasks.contract.stages import check_conf
from tests.chart.helm import CHART, EVERY, REPOSITORY, containers, workloads

COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())
CLUSTER_ONLY = {"FOUNDRY_POD_GPUS", "FOUNDRY_POD_TEMPLATES"}
"""Settings that Compose does not need: pod templates and number of GPUs."""
NOT_OF_A_STACK = {
    "mlflow_artifacts",  # set by MLflow's server
    "expectations",  # set by the image
    "image_digest",  # set by the operator
    "stage_network", "outside_network",  # Docker's networks; here they are labels
    "stage_files", "promote_files",  # defaults
}  # fmt: skip
AIRFLOW = ("foundry-api-server", "foundry-scheduler", "foundry-dag-processor", "foundry-triggerer")


def told(objects, name):
    """Environment variables of a pod's first container."""
    container = workloads(objects)[name]["spec"]["containers"][0]
    return {one["name"]: str(one["value"]) for one in container["env"]}


def foundry_keys(variables):
    return {key for key in variables if key.startswith(PREFIX)}


def test_airflow_is_told_the_keys_that_compose_tells_it(helm):
    compose = foundry_keys(COMPOSE["x-foundry"])
    for name in AIRFLOW:
        assert foundry_keys(told(helm.objects(), name)) == compose | CLUSTER_ONLY, name


def test_every_setting_is_told_or_has_a_reason_why_not(helm):
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    excused = {PREFIX + name.upper() for name in NOT_OF_A_STACK}
    assert foundry_keys(told(helm.objects(), "foundry-scheduler")) == known - excused


@pytest.mark.parametrize("values", EVERY)
def test_what_airflow_is_told_are_settings_that_it_takes(helm, values):
    objects = helm.objects(values)
    names = [name for name in AIRFLOW if name in workloads(objects)]
    for name in names or ["foundry-test"]:
        settings = Settings.from_environment(told(objects, name))
        assert settings.runtime == "kubernetes"
        assert settings.image_cpu


def test_an_airflow_of_the_clusters_own_is_given_the_same_settings_in_a_configmap(helm):
    settings = helm.find("ConfigMap", "foundry-settings", "existing-airflow")
    assert settings["metadata"]["namespace"] == "airflow"
    assert settings["data"].keys() == foundry_keys(told(helm.objects(), "foundry-scheduler"))
    assert Settings.from_environment(settings["data"]).runtime == "kubernetes"


def test_airflows_own_settings_are_composes(helm):
    compose = {key: value for key, value in COMPOSE["x-airflow"]["environment"].items() if key.startswith("AIRFLOW__")}
    chart = {
        key: value for key, value in told(helm.objects(), "foundry-scheduler").items() if key.startswith("AIRFLOW__")
    }
    waking = {"AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"}  # tasks are deferred while their pods run; not so on a host
    assert set(chart) == set(compose) | waking
    differ = {key for key in compose if chart[key] != compose[key]}
    assert {key for key in differ if not key.endswith("_CMD")} == {
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",  # contains the release's name
        "AIRFLOW__CORE__PARALLELISM",  # pods run elsewhere, so a scheduler can have more tasks
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT",  # a variable in Compose
    }


def test_every_service_of_compose_has_its_counterpart(helm):
    instead = {
        "docker-proxy": "Role",  # the operations that Airflow may call
        "stage-files": "Secret", "promote-files": "Secret",  # files for stages
        "foundry": "kubectl run",  # a person's command
    }  # fmt: skip
    pods = {re.sub(r"-[0-9a-f]{8}$", "", name).removeprefix("foundry-") for name in workloads(helm.objects())}
    assert pods == (set(COMPOSE["services"]) - set(instead)) | {"test"}


def test_every_service_is_in_the_networks_that_compose_puts_it_in(helm):
    """`stages` contains the store and MLflow; `docker` stands for the Kubernetes API; `ui` is for the Ingress."""
    here = {"docker": "kubernetes", "airflow": "airflow", "database": "database", "store": "store"}
    servers = {"postgres": "database", "s3": "store", "api-server": "airflow"}
    for name, service in COMPOSE["services"].items():
        pod = workloads(helm.objects()).get(f"foundry-{name}")
        if pod is None or name in servers:
            continue
        labels = {
            label.partition("/")[2] for label in pod["metadata"]["labels"] if label.startswith("foundry.network/")
        }
        expected = {here[network] for network in service.get("networks", ()) if network in here}
        if name == "triggerer":
            expected |= {"kubernetes"}  # it watches the pods of deferred tasks; on a host no task is deferred
        if name == "mlflow":
            expected |= {"store"}
        assert labels == expected, name


def test_the_migration_does_what_composes_does(helm):
    def lines(text):
        return [line.strip().replace("/run/secrets/", "/run/admin/").replace("$$", "$") for line in text.splitlines()]

    job = helm.find("Job", "foundry-airflow-migrate")["spec"]["template"]["spec"]["containers"][0]
    assert lines(job["args"][0]) == lines(COMPOSE["services"]["airflow-migrate"]["command"][0])


def test_the_databases_are_made_by_the_script_that_compose_mounts(helm):
    script = (REPOSITORY / "images" / "postgres" / "databases.sh").read_text()
    assert helm.find("ConfigMap", "foundry-postgres")["data"]["databases.sh"] == script


def test_a_stages_secrets_have_the_names_that_settings_have(helm):
    for name in (Settings().stage_files, Settings().promote_files):
        assert helm.find("Secret", name)["metadata"]["namespace"] == "foundry-stages"


def test_what_is_mounted_is_where_the_settings_say(helm):
    for name in ("foundry-scheduler", "foundry-dag-processor"):
        pod = workloads(helm.objects())[name]
        mounts = {mount["mountPath"] for container in pod["spec"]["containers"] for mount in container["volumeMounts"]}
        variables = told(helm.objects(), name)
        assert {variables[f"FOUNDRY_{key}"] for key in ("SECRETS", "MARKETS", "POD_TEMPLATES")} <= mounts
    stage = yaml.safe_load(helm.find("ConfigMap", "foundry-pod-templates")["data"]["cpu.yaml"])
    (mount,) = stage["spec"]["containers"][0]["volumeMounts"]
    assert mount["mountPath"] == variables["FOUNDRY_MARKETS"]


def test_every_command_of_ours_is_a_file_that_an_image_has(helm):
    dockerfile = (REPOSITORY / "images" / "Dockerfile").read_text()
    at = {
        "/opt/foundry/health.py": "images/airflow/health.py",
        "/opt/foundry/images/provision.py": "images/s3/provision.py",
    }
    for pod in workloads(helm.objects()).values():
        for container in containers(pod):
            for path in re.findall(r"/opt/[\w/]+\.py", str(container)):
                source = Path(at.get(path, path.replace("/opt/", "images/")))
                assert (REPOSITORY / source).is_file(), path
                assert str(source) in dockerfile or str(source.parent) in dockerfile, path


@pytest.mark.parametrize("namespace", ["foundry", "foundry-stages"])
def test_airflow_and_the_stages_read_the_same_markets(helm, namespace):
    found = [
        one["data"]
        for one in helm.objects("storage-and-markets")
        if one["metadata"]["name"] == "foundry-markets" and one["metadata"]["namespace"] == namespace
    ]
    assert [set(data) for data in found] == [{"helm_test.toml", "sp500.toml", "us.toml"}]
    assert found[0]["us.toml"].strip() == 'source = "yfinance"'


def test_the_market_of_helm_test_is_one_that_a_run_takes():
    check_conf(tomllib.loads((CHART / "files" / "helm_test.toml").read_text()))
