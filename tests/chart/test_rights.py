"""Rights of the service accounts on the Kubernetes API."""

import pytest

from tests.chart.helm import EVERY


@pytest.mark.parametrize("values", EVERY)
def test_every_right_is_in_the_stages_namespace_and_none_in_the_cluster(helm, values):
    objects = helm.objects(values)
    stages = next(one for one in objects if one["metadata"]["name"] == "foundry-stage")["metadata"]["namespace"]
    kinds = [one for one in objects if one["apiVersion"].startswith("rbac.")]
    assert {one["kind"] for one in kinds} == {"Role", "RoleBinding"}
    assert {one["metadata"]["namespace"] for one in kinds} == {stages}
    assert stages != "foundry"


def may(helm, values="default"):
    """(namespace, account) → resource → verbs."""
    objects = helm.objects(values)
    roles = {one["metadata"]["name"]: one["rules"] for one in objects if one["kind"] == "Role"}
    return {
        (subject["namespace"], subject["name"]): {
            resource: set(rule["verbs"]) for rule in roles[one["roleRef"]["name"]] for resource in rule["resources"]
        }
        for one in objects
        if one["kind"] == "RoleBinding"
        for subject in one["subjects"]
    }


def test_the_scheduler_makes_pods_and_the_triggerer_watches_them(helm):
    rights = may(helm)
    assert set(rights) == {("foundry", "foundry-scheduler"), ("foundry", "foundry-triggerer")}
    scheduler, triggerer = rights["foundry", "foundry-scheduler"], rights["foundry", "foundry-triggerer"]
    assert scheduler["pods"] == {"create", "get", "list", "watch", "patch", "delete"}
    assert triggerer["pods"] == {"get", "list", "watch", "delete"}
    for one in (scheduler, triggerer):
        assert set(one) == {"pods", "pods/log", "events"}, "no exec, no Secrets"
        assert one["pods/log"] == {"get"}
        assert one["events"] == {"list", "watch"}


def test_an_airflow_of_the_clusters_own_has_the_schedulers_rights(helm):
    rights = may(helm, "existing-airflow")
    assert set(rights) == {("airflow", "airflow-worker"), ("airflow", "airflow-triggerer")}
    assert "create" in rights["airflow", "airflow-worker"]["pods"]


def test_no_account_has_its_token_mounted_by_default(helm):
    accounts = [one for one in helm.objects() if one["kind"] == "ServiceAccount"]
    assert {one["metadata"]["name"] for one in accounts} == {
        "foundry", "foundry-scheduler", "foundry-triggerer", "foundry-stage",
    }  # fmt: skip
    assert not any(one["automountServiceAccountToken"] for one in accounts)
