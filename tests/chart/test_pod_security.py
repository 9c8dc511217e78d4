"""Pod security `restricted`, limits, probes and tokens."""

import pytest
import yaml

from tests.chart.helm import EVERY, containers, workloads
from tests.chart.kubernetes import restricted_faults

JOBS = {"foundry-airflow-migrate", "foundry-mlflow-users", "foundry-s3-accounts", "foundry-test"}
"""Containers that run once. They need no probe: their exit code shows success."""


def is_once(name):
    return name in JOBS or name.rpartition("-")[0] in JOBS


@pytest.fixture(params=EVERY)
def pods(request, helm):
    return workloads(helm.objects(request.param))


def test_every_pod_passes_the_restricted_profile(pods):
    assert {name: faults for name, pod in pods.items() if (faults := restricted_faults(pod))} == {}
    assert pods


CONTAINER = {
    "name": "c",
    "securityContext": {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "security", "fault"),
    [
        ({}, {}, None),
        ({"hostNetwork": True}, {}, "hostNetwork"),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
            {},
            "volume {'name': 'v', 'hostPath': {'path': '/'}}",
        ),
        ({"securityContext": {"sysctls": []}}, {}, "sysctls"),
        ({}, {"allowPrivilegeEscalation": True}, "c: allowPrivilegeEscalation"),
        ({}, {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}, "c: capabilities"),
        ({}, {"runAsNonRoot": False}, "c: runAsNonRoot"),
        ({"securityContext": {"runAsUser": 0}}, {}, "c: runAsUser"),
        ({}, {"seccompProfile": {"type": "Unconfined"}}, "c: seccompProfile"),
        ({}, {"privileged": True}, "c: privileged"),
    ],
)
def test_a_pod_that_the_profile_does_not_let_in_is_found(spec, security, fault):
    container = CONTAINER | {"securityContext": CONTAINER["securityContext"] | security}
    assert restricted_faults({"spec": spec | {"containers": [container]}}) == ([fault] if fault else [])


def test_no_container_writes_but_to_its_volumes(pods):
    for name, pod in pods.items():
        for container in containers(pod):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name


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
    for component in behind - {"triggerer"}:  # its service only gives its pods their host names
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
