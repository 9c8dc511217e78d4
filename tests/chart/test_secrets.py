"""Secrets: generated on install, kept on upgrade, mounted as files only where they are needed."""

import base64
import json
import re
import shutil
import subprocess

import pytest

from tests.chart.cluster import Cluster
from tests.chart.helm import EVERY, REPOSITORY, containers, load, release, workloads
from tests.kubernetes_api import kubeconfig

STAGE_FILES = {"s3_access_key", "s3_secret_key", "mlflow_username", "mlflow_password"}


def decoded(secret):
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


@pytest.fixture(scope="module")
def made(helm):
    return decoded(helm.find("Secret", "foundry-secrets"))


def test_the_secrets_are_the_files_that_the_stack_of_one_host_makes(made, tmp_path):
    (tmp_path / "images").mkdir()
    script = shutil.copy(REPOSITORY / "images" / "secrets.sh", tmp_path / "images")
    subprocess.run([script], check=True)
    assert set(made) == {path.name for path in (tmp_path / "secrets").iterdir()}
    for path in (tmp_path / "secrets").iterdir():
        assert len(made[path.name]) == len(path.read_text()) or "@" in made[path.name], path.name


def test_every_password_is_another(made):
    passwords = [value for key, value in made.items() if key.endswith(("_password", "_secret_key", "_secret", "_key"))]
    assert len(set(passwords)) == len(passwords)


def test_the_fernet_key_is_one(made):
    assert len(base64.urlsafe_b64decode(made["airflow_fernet_key"])) == 32


def test_airflows_address_of_the_database_holds_its_password(made):
    assert made["airflow_db_url"] == (
        f"postgresql+psycopg2://airflow:{made['airflow_db_password']}@foundry-postgres/airflow"
    )


@pytest.mark.parametrize("account", ["stage", "promote"])
def test_a_stage_has_the_keys_of_its_account(helm, account):
    everything = decoded(helm.find("Secret", "foundry-secrets"))
    own = helm.find("Secret", f"foundry-{account}")
    assert own["metadata"]["namespace"] == "foundry-stages"
    source = {"tiingo_api_key": everything["tiingo_api_key"]} if account == "stage" else {}
    assert decoded(own) == source | {
        "s3_access_key": f"foundry-{account}",
        "s3_secret_key": everything[f"s3_{account}_secret_key"],
        "mlflow_username": account,
        "mlflow_password": everything[f"mlflow_{account}_password"],
    }


def test_nothing_but_a_secret_holds_a_secrets_value(helm):
    for values in EVERY:
        objects = helm.objects(values)
        secrets = [one for one in objects if one["kind"] == "Secret"]
        rest = json.dumps([one for one in objects if one["kind"] != "Secret"])
        accounts = ("s3_access_key", "mlflow_username")  # a name, not a secret
        for secret in secrets:
            for key, value in decoded(secret).items():
                if not key.endswith("_access_key") and key not in accounts:
                    assert value not in rest, f"{values}: {key}"
                    assert base64.b64encode(value.encode()).decode() not in rest, f"{values}: {key}"


def test_no_variable_is_taken_from_a_secret(helm):
    for values in EVERY:
        for pod in workloads(helm.objects(values)).values():
            for container in containers(pod):
                assert "envFrom" not in container
                assert all("valueFrom" not in variable for variable in container.get("env", ()))


def test_with_secrets_of_ones_own_the_chart_makes_none(helm):
    assert not [one for one in helm.objects("existing-secrets") if one["kind"] == "Secret"]
    assert shown(helm.objects("existing-secrets"), "foundry-scheduler")["/run/airflow"][0] == {"foundry"}


def shown(objects, name):
    """Mount path of a pod → the Secrets, and file → key."""
    pod = next(pod for known, pod in workloads(objects).items() if known == name or known.rpartition("-")[0] == name)
    sources = {volume["name"]: volume.get("projected", {}).get("sources", []) for volume in pod["spec"]["volumes"]}
    return {
        mount["mountPath"]: (
            {source["secret"]["name"] for source in sources[mount["name"]]},
            {
                item["path"]: item["key"]
                for source in sources[mount["name"]]
                if not source["secret"].get("optional")
                for item in source["secret"]["items"]
            },
        )
        for container in pod["spec"]["containers"]
        for mount in container["volumeMounts"]
        if sources.get(mount["name"])
    }


def test_a_pod_is_shown_the_secrets_of_its_service_alone(helm):
    """The same as `secrets` in docker-compose.yaml."""
    objects = helm.objects()
    airflow = {"airflow_db_url", "airflow_fernet_key", "airflow_jwt_secret", "airflow_api_secret_key"}
    s3 = {
        name: {f"s3_{name}_access_key", f"s3_{name}_secret_key"}
        for name in ("root", "stage", "promote", "reports", "mlflow")
    }
    expected = {
        "foundry-postgres": {"postgres_password", "airflow_db_password", "mlflow_db_password"},
        "foundry-s3": s3["root"],
        "foundry-s3-accounts": set().union(*s3.values()),
        "foundry-mlflow": {"mlflow_db_password", "mlflow_admin_password", "mlflow_flask_secret_key"} | s3["mlflow"],
        "foundry-mlflow-users": {"mlflow_admin_password", "mlflow_stage_password", "mlflow_promote_password"},
        "foundry-reports": {"reports_password"} | s3["reports"],
        "foundry-airflow-migrate": airflow | {"airflow_admin_password"},
        "foundry-api-server": airflow,
        "foundry-triggerer": airflow,
        "foundry-scheduler": airflow | s3["stage"],
        "foundry-dag-processor": airflow | s3["stage"],
        "foundry-test": s3["stage"] | {"mlflow_stage_password", "airflow_admin_password"},
    }  # fmt: skip
    found = {name: {key for _, files in shown(objects, name).values() for key in files.values()} for name in expected}
    assert found == expected
    assert len(workloads(objects)) == len(expected)


def test_every_key_that_a_pod_is_shown_is_one_that_there_is(helm, made):
    objects = helm.objects()
    for name in workloads(objects):
        keys = {key for _, files in shown(objects, name).values() for key in files.values()}
        assert keys <= set(made), name


def test_every_file_that_airflow_is_told_to_read_is_mounted(helm):
    objects = helm.objects()
    for name, pod in workloads(objects).items():
        for container in pod["spec"]["containers"]:
            read = re.findall(r"cat (/run/\w+)/(\w+)", json.dumps(container))
            there = {mount: set(files) for mount, (_, files) in shown(objects, name).items()}
            assert all(file in there[mount] for mount, file in read), name


# ------------------------------------------------------------------ an upgrade
@pytest.fixture
def rendered_against(helm, tmp_path):
    """rendered_against(secret): the Secrets of a release in a cluster that has this Secret, or none."""
    clusters = []

    def render(secret):
        clusters.append(Cluster(helm.objects(), secret))
        config = kubeconfig(clusters[-1].server, tmp_path / f"kubeconfig-{len(clusters)}")
        server = ("--dry-run=server", "--disable-openapi-validation", "--is-upgrade")
        found = load(helm.run(*release(), *server, kubeconfig=config))
        assert "/api/v1/namespaces/foundry/secrets/foundry-secrets" in clusters[-1].asked
        return {one["metadata"]["name"]: one for one in found if one["kind"] == "Secret"}

    yield render
    for cluster in clusters:
        cluster.close()


def test_an_upgrade_keeps_every_secret_and_makes_what_is_missing(rendered_against):
    first = rendered_against(None)
    kept = {key: value for key, value in first["foundry-secrets"]["data"].items() if key != "reports_password"}
    second = rendered_against(first["foundry-secrets"] | {"data": kept})
    assert {key: second["foundry-secrets"]["data"][key] for key in kept} == kept
    assert second["foundry-stage"]["data"] == first["foundry-stage"]["data"]
    assert second["foundry-promote"]["data"] == first["foundry-promote"]["data"]
    assert len(base64.b64decode(second["foundry-secrets"]["data"]["reports_password"])) == 40


def test_two_installs_have_different_secrets(rendered_against):
    first, second = (rendered_against(None)["foundry-secrets"]["data"] for _ in range(2))
    assert not [key for key in first if first[key] == second[key] and not key.endswith(("_access_key", "_api_key"))]


def test_the_secrets_outlive_the_release_as_the_volumes_do(helm):
    for kind, name in (
        ("Secret", "foundry-secrets"),
        ("PersistentVolumeClaim", "foundry-postgres"),
        ("PersistentVolumeClaim", "foundry-s3"),
    ):
        assert helm.find(kind, name)["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
