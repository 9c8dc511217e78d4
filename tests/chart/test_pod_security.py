"""Pod security `restricted`, field by field as its standard lists them; and limits, probes and tokens."""

import pytest
import yaml

from tests.chart.helm import EVERY, containers, workloads

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
JOBS = {"foundry-airflow-migrate", "foundry-mlflow-users", "foundry-s3-accounts", "foundry-test"}
"""What runs once: its end says whether it went well, a probe would say nothing."""


def is_once(name):
    return name in JOBS or name.rpartition("-")[0] in JOBS


@pytest.fixture(params=EVERY)
def pods(request, helm):
    return workloads(helm.objects(request.param))


def test_no_pod_shares_anything_of_its_node(pods):
    for name, pod in pods.items():
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod["spec"]), name
        for volume in pod["spec"].get("volumes", ()):
            assert set(volume) - {"name"} <= VOLUMES, f"{name}: {volume}"
        for container in containers(pod):
            assert not [port for port in container.get("ports", ()) if "hostPort" in port], name
    assert pods


def test_every_pod_is_another_than_root_under_the_runtimes_seccomp_profile(pods):
    for name, pod in pods.items():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"sysctls", "seLinuxOptions", "windowsOptions"} & set(security), name


def test_every_container_has_no_capability_no_way_up_and_nothing_to_write_but_its_volumes(pods):
    for name, pod in pods.items():
        for container in containers(pod):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert security["readOnlyRootFilesystem"] is True, name
            assert security.get("runAsUser", 1) > 0, name
            assert not {"privileged", "procMount", "seccompProfile"} & set(security), name


def test_every_container_has_requests_and_limits_of_cpu_and_memory(pods):
    for name, pod in pods.items():
        for container in containers(pod):
            for kind in ("requests", "limits"):
                assert set(container["resources"][kind]) >= {"cpu", "memory"}, f"{name}: {container['name']}"


def test_every_container_that_stays_is_probed_and_none_by_its_port_alone(pods):
    for name, pod in pods.items():
        if is_once(name):
            continue
        for container in pod["spec"]["containers"]:
            assert "livenessProbe" in container, name
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert "tcpSocket" not in container.get(probe, {}), name


def test_what_a_service_sends_calls_to_says_when_it_is_ready(helm):
    objects = helm.objects("statsd")
    behind = {one["spec"]["selector"]["app.kubernetes.io/component"] for one in objects if one["kind"] == "Service"}
    pods = workloads(objects)
    assert "api-server" in behind
    for component in behind - {"triggerer"}:  # whose service gives its pods their names and is ready for everybody
        for container in pods[f"foundry-{component}"]["spec"]["containers"]:
            assert "readinessProbe" in container, component


def test_the_token_of_the_kubernetes_api_is_in_the_scheduler_and_the_triggerer_alone(pods):
    with_token = {name for name, pod in pods.items() if pod["spec"]["automountServiceAccountToken"] is not False}
    assert with_token <= {"foundry-scheduler", "foundry-triggerer"}


def test_no_pod_is_told_of_services_by_variables_that_foundry_would_take_for_settings(pods):
    assert all(pod["spec"]["enableServiceLinks"] is False for pod in pods.values())


def test_the_stages_namespace_enforces_restricted(helm):
    labels = helm.find("Namespace", "foundry-stages")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_a_stages_pod_has_an_account_without_a_token(helm, kind):
    pod = yaml.safe_load(helm.find("ConfigMap", "foundry-pod-templates")["data"][f"{kind}.yaml"])
    assert pod["metadata"]["namespace"] == "foundry-stages"
    assert pod["spec"]["serviceAccountName"] == "foundry-stage"
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["enableServiceLinks"] is False
