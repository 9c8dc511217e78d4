"""Every file of values lints and renders, is valid for three versions of Kubernetes, and renders equally each time."""

import pytest
import yaml

from tests.chart.helm import CHART, EVERY, Refused, files, load, release
from tests.chart.kubernetes import VERSIONS, schema_fault

pytestmark = pytest.mark.slow(14)

CUSTOM = {"monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1"}
"""Kinds without a schema in Kubernetes; test_web.py checks them."""


@pytest.mark.parametrize("values", EVERY)
def test_the_values_pass_a_strict_lint(helm, values):
    helm.run("lint", "--strict", str(CHART), *files(values))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", EVERY)
def test_every_object_is_one_that_kubernetes_knows(helm, values, version):
    faults = {
        f"{one['kind']} {one['metadata']['name']}": schema_fault(one, version)
        for one in helm.objects(values, version=version)
        if one["apiVersion"] not in CUSTOM
    }
    assert not {name: why for name, why in faults.items() if why}


def test_a_field_that_kubernetes_does_not_know_is_found():
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "imagge": "i"}]},
    }
    assert "imagge" in schema_fault(pod, "1.37")


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
@pytest.mark.parametrize("values", EVERY)
def test_the_pods_that_airflow_is_to_make_are_ones_that_kubernetes_knows(helm, values, kind):
    template = helm.find("ConfigMap", "foundry-pod-templates", values)["data"][f"{kind}.yaml"]
    assert not schema_fault(yaml.safe_load(template), "1.37")


@pytest.mark.parametrize("values", EVERY)
def test_the_same_values_give_the_same_text_but_for_secrets_made_anew(helm, values):
    again = helm.run(*release(), "--kube-version", "1.37", *files(values))

    def known(text):
        return [part for part in text.split("\n---\n") if "\nkind: Secret\n" not in part]

    assert known(again) == known(helm.text(values))


@pytest.mark.parametrize("values", ["existing-secrets", "values-production"])
def test_with_given_secrets_the_whole_text_is_the_same(helm, values):
    assert helm.run(*release(), "--kube-version", "1.37", *files(values)) == helm.text(values)


def test_an_older_kubernetes_is_refused_by_name(helm):
    with pytest.raises(Refused, match="requires kubeVersion"):
        helm.text(version="1.28")


@pytest.mark.parametrize("values", EVERY)
def test_no_two_objects_have_one_name(helm, values):
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in helm.objects(values)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("values", EVERY)
def test_every_object_says_its_namespace(helm, values):
    known = {"foundry", "foundry-stages", "model-runs", "airflow"}
    assert {one["metadata"]["namespace"] for one in helm.objects(values) if one["kind"] != "Namespace"} <= known


def test_the_longest_name_of_a_release_leaves_room_for_every_objects(helm):
    text = helm.run("template", "a" * 53, str(CHART), "--namespace", "foundry")
    assert max(len(one["metadata"]["name"]) for one in load(text)) <= 63
