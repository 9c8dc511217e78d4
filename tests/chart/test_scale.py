"""Several replicas: budgets, autoscalers, spread over nodes; and the node pools of the stages."""

import pytest
import yaml

from tests.chart.helm import CHART, EVERY, workloads


def names(objects, kind):
    return {one["metadata"]["name"].removeprefix("foundry-") for one in objects if one["kind"] == kind}


def test_what_there_are_several_of_has_a_budget_and_what_is_single_has_none(helm):
    several = {"api-server", "scheduler", "triggerer", "mlflow", "reports"}
    assert names(helm.objects("replicas"), "PodDisruptionBudget") == several
    assert names(helm.objects("values-production"), "PodDisruptionBudget") == several
    assert names(helm.objects(), "PodDisruptionBudget") == set(), "a node with the only one could not be emptied"


@pytest.mark.parametrize("values", EVERY)
def test_every_selector_finds_the_pods_that_it_is_for(helm, values):
    objects = helm.objects(values)
    labels = [pod["metadata"]["labels"] for pod in workloads(objects).values()]
    for one in objects:
        match one["kind"]:
            case "Service":
                selector = one["spec"]["selector"]
            case "PodDisruptionBudget" | "Deployment" | "StatefulSet":
                selector = one["spec"]["selector"]["matchLabels"]
            case _:
                continue
        assert sum(selector.items() <= own.items() for own in labels) == 1, one["metadata"]["name"]


def test_an_autoscaler_decides_alone_how_many_there_are(helm):
    objects = helm.objects("values-production")
    assert names(objects, "HorizontalPodAutoscaler") == {"api-server", "mlflow"}
    for name in ("foundry-api-server", "foundry-mlflow"):
        assert "replicas" not in helm.find("Deployment", name, "values-production")["spec"]
        target = helm.find("HorizontalPodAutoscaler", name, "values-production")["spec"]
        assert target["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert (target["minReplicas"], target["maxReplicas"]) == (2, 5)
    assert helm.find("Deployment", "foundry-mlflow")["spec"]["replicas"] == 1


def test_the_pods_of_a_component_spread_over_nodes_and_zones(helm):
    for name, pod in workloads(helm.objects()).items():
        spread = pod["spec"]["topologySpreadConstraints"]
        assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        for one in spread:
            assert one["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items(), name


def test_a_task_s_log_has_a_volume_that_outlives_its_scheduler_and_a_host_that_stays(helm):
    spec = helm.find("StatefulSet", "foundry-scheduler", "replicas")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == "/opt/airflow/logs"
    assert helm.find("Service", spec["serviceName"])["spec"]["clusterIP"] == "None"


# ------------------------------------------------------------------ the stages' pools
def template(helm, kind, values):
    return yaml.safe_load(helm.find("ConfigMap", "foundry-pod-templates", values)["data"][f"{kind}.yaml"])


def test_a_gpu_pool_is_where_the_deep_models_run_and_nothing_else(helm):
    cuda, cpu = template(helm, "cuda", "gpu-pool"), template(helm, "cpu", "gpu-pool")
    assert cuda["spec"]["nodeSelector"] == {"pool": "gpu"}
    assert cuda["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert cuda["spec"]["runtimeClassName"] == "nvidia"
    assert cpu["spec"]["nodeSelector"] == {"pool": "batch"}
    assert not {"tolerations", "runtimeClassName"} & set(cpu["spec"])


def test_deep_models_have_an_image_where_there_is_a_pool_for_them(helm):
    def image(values):
        variables = workloads(helm.objects(values))["foundry-scheduler"]["spec"]["containers"][0]["env"]
        return next(one["value"] for one in variables if one["name"] == "FOUNDRY_IMAGE_CUDA")

    assert image("default") == "", "a run of them fails at once and says so"
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert image("gpu-pool") == f"foundry/stage-cuda:{version}"


def test_the_services_pool_is_not_the_stages(helm):
    assert workloads(helm.objects("gpu-pool"))["foundry-mlflow"]["spec"]["nodeSelector"] == {"pool": "services"}


def test_stages_are_pulled_with_the_same_secrets(helm):
    assert template(helm, "cpu", "private-registry")["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert template(helm, "cpu", "private-registry")["spec"]["containers"][0]["image"].startswith(
        "registry.example.org/"
    )


def test_a_clouds_role_is_an_annotation_of_the_stages_account(helm):
    account = helm.find("ServiceAccount", "foundry-stage", "gpu-pool")
    assert account["metadata"]["namespace"] == "model-runs"
    assert set(account["metadata"]["annotations"]) == {"eks.amazonaws.com/role-arn"}
