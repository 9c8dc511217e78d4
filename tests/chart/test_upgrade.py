"""An upgrade must not change immutable fields, wait for itself, or run anything twice."""

import re
import shutil

import pytest
import yaml

from tests.chart.helm import CHART, EVERY, pod_template, workloads

CHANGES = (
    'image.tag="9.9.9"', "airflow.parallelism=64", "airflow.scheduler.replicas=2", "mlflow.replicas=3",
    'web.hosts.airflow="airflow.example.org"', 's3.storage.size="900Gi"', 'postgres.storage.size="90Gi"',
    'nodeSelector={"pool":"services"}', 'mlflow.resources.limits.memory="4Gi"', 'metrics.kind="statsd"',
    'stages.cpu.nodeSelector={"pool":"batch"}', 'markets={"sp500.toml":"horizons = [1]"}',
)  # fmt: skip
MUTABLE = {
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
}
"""Mutable fields of a StatefulSet."""


@pytest.fixture(scope="module")
def next_version(tmp_path_factory):
    """This chart with the next version."""
    copy = tmp_path_factory.mktemp("next") / "foundry"
    shutil.copytree(CHART, copy)
    text = (copy / "Chart.yaml").read_text()
    (copy / "Chart.yaml").write_text(re.sub(r"(?m)^(version|appVersion): .*", r"\1: 99.0.0", text))
    return copy


FIXED = {
    "Deployment": lambda spec: spec["selector"],
    "StatefulSet": lambda spec: {key: value for key, value in spec.items() if key not in MUTABLE},
    "Job": lambda spec: spec["template"],
    "PersistentVolumeClaim": lambda spec: {key: value for key, value in spec.items() if key != "resources"},
    "Service": lambda spec: spec.get("clusterIP"),
}
"""Kind → the immutable part of its spec."""


def fixed(one):
    if one["kind"] == "RoleBinding":
        return one["roleRef"]
    return FIXED[one["kind"]](one["spec"]) if one["kind"] in FIXED else None


def by_name(objects):
    return {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]): one for one in objects}


@pytest.mark.parametrize("values", ["default", "replicas", "storage-and-markets"])
def test_a_later_version_with_other_values_changes_nothing_that_cannot_be_changed(helm, next_version, values):
    before = by_name(helm.objects(values))
    after = by_name(helm.objects(values, *CHANGES, chart=next_version))
    both = set(before) & set(after)
    assert {kind for kind, _, _ in both} >= {
        "Deployment",
        "StatefulSet",
        "PersistentVolumeClaim",
        "Service",
        "RoleBinding",
    }
    for key in both:
        assert fixed(after[key]) == fixed(before[key]), key


@pytest.mark.parametrize("job", ["foundry-airflow-migrate", "foundry-mlflow-users", "foundry-s3-accounts"])
def test_a_job_is_another_one_when_its_pod_is_and_the_same_one_when_it_is_not(helm, next_version, job):
    def name(*settings, **more):
        found = [one["metadata"]["name"] for one in helm.objects("default", *settings, **more) if one["kind"] == "Job"]
        (own,) = [one for one in found if one.startswith(job)]
        return own

    assert name() == name('airflow.apiServer.resources.limits.memory="3Gi"'), "not its business"
    assert name() != name('image.tag="9.9.9"')
    assert name('image.tag="1"') == name('image.tag="1"', chart=next_version), "a version of the chart alone"


@pytest.mark.parametrize("values", EVERY)
def test_no_hook_runs_but_for_helm_test(helm, values):
    """Else parts could wait for each other, with helm --wait, Argo CD or Flux."""
    hooks = {
        one["metadata"]["name"]: one["metadata"]["annotations"]["helm.sh/hook"]
        for one in helm.objects(values)
        if "helm.sh/hook" in one["metadata"].get("annotations", {})
    }
    assert hooks == {"foundry-test": "test"}


def test_what_needs_the_database_waits_for_its_migration_and_the_migration_for_nobody(helm):
    pods = workloads(helm.objects())
    waiting = {
        name: [one["args"] for one in pod["spec"].get("initContainers", ())]
        for name, pod in pods.items()
        if "foundry.network/database" in pod["metadata"]["labels"] and name != "foundry-mlflow"
    }
    migration = next(name for name in waiting if "airflow-migrate" in name)
    assert waiting.pop(migration) == []
    assert set(waiting) == {f"foundry-{name}" for name in ("api-server", "scheduler", "dag-processor", "triggerer")}
    assert all(args == [["db", "check-migrations", "--migration-wait-timeout", "900"]] for args in waiting.values())


def test_mlflow_migrates_before_it_serves(helm):
    (before,) = workloads(helm.objects())["foundry-mlflow"]["spec"]["initContainers"]
    assert before["command"] == ["python", "/opt/mlflow/migrate.py"]


def test_a_pod_is_not_made_anew_for_a_version_of_the_chart(helm, next_version):
    def pods(**more):
        found = helm.objects("default", 'image.tag="1"', **more)
        return {
            one["metadata"]["name"]: pod_template(one) for one in found if one["kind"] in {"Deployment", "StatefulSet"}
        }

    assert pods() == pods(chart=next_version)


def test_the_package_is_the_chart_without_what_only_this_repository_needs(helm, tmp_path):
    helm.run("package", str(CHART), "--destination", str(tmp_path))
    shutil.unpack_archive(next(tmp_path.glob("foundry-*.tgz")), tmp_path)
    packed = {
        str(path.relative_to(tmp_path / "foundry")) for path in (tmp_path / "foundry").rglob("*") if path.is_file()
    }
    assert {"Chart.yaml", "values.yaml", "values.schema.json", "files/release_test.py"} <= packed
    assert not [name for name in packed if name.startswith(("ci/", "values-"))]
    assert yaml.safe_load((tmp_path / "foundry" / "values.yaml").read_text())
