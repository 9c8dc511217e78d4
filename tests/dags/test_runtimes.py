"""A stage has the same command, environment, resources, retries and hardening in all three runtimes."""

import importlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.sdk import DAG, Param
from airflow.sdk.api.datamodels._generated import DagRun
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

from foundry_tasks.contract.stages import STAGES

DAGS = Path(__file__).parents[2] / "dags"
SETTINGS = {
    "FOUNDRY_STORE": "s3://foundry",
    "FOUNDRY_S3_ENDPOINT": "http://s3:7070",
    "FOUNDRY_SECRETS": "/run/foundry/secrets",
    "FOUNDRY_MLFLOW_URI": "http://mlflow:5000",
    "FOUNDRY_IMAGE_CPU": "sha256:" + "c" * 64,
    "FOUNDRY_IMAGE_CUDA": "sha256:" + "d" * 64,
}
MOMENT = datetime(2026, 7, 1, 12, tzinfo=UTC)
CONTEXT = {
    "dag_run": DagRun(
        dag_id="foundry_train", run_id="manual__2026-07-01T12:00:00+00:00", logical_date=MOMENT, run_after=MOMENT,
        start_date=MOMENT, run_type="manual", state="running", consumed_asset_events=[],
        data_interval_start=None, data_interval_end=None, end_date=None, partition_key=None,
    ),
    "params": ParamsDict({"folds": Param(3)}),
}  # fmt: skip


@pytest.fixture
def task(monkeypatch):
    """task(runtime, stage, shard) → its operator, in a DAG."""
    monkeypatch.syspath_prepend(str(DAGS))
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)

    def make(runtime, stage, shard=None):
        monkeypatch.setenv("FOUNDRY_RUNTIME", runtime)
        operator = importlib.import_module("_stages").operator_class()
        with DAG("foundry_train", schedule=None):
            return operator(stage=stage, shard=shard)

    return make


@pytest.fixture
def pod_of(monkeypatch):
    """pod_of(operator) → its pod, in the form that is sent to the API server."""
    monkeypatch.setattr(
        "airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator._get_ti_pod_labels", lambda *_: {}
    )

    def render(operator):
        monkeypatch.setattr(operator.pod, "execute_async", lambda *_: None)
        operator.pod.start(CONTEXT)
        operator.pod.namespace = "foundry"
        return ApiClient().sanitize_for_serialization(operator.pod.build_pod_request_obj(CONTEXT, dry_run=True))

    return render


def docker_call(operator):
    """The operator's call of the Docker engine."""
    module = sys.modules[type(operator).__module__]
    limits = module.host_config(
        STAGES[operator.stage], version="1.41", network=operator.network_mode, files=operator.files, gpus=False
    )
    return dict(limits)


def test_a_pod_lies_over_what_the_cluster_decides_of_it(task, pod_of, monkeypatch, tmp_path):
    (tmp_path / "cpu.yaml").write_text(
        """
apiVersion: v1
kind: Pod
metadata: {namespace: stages, annotations: {pool: cheap}}
spec:
  serviceAccountName: foundry-stage
  nodeSelector: {pool: cheap}
  containers:
    - name: base
      image: none
      volumeMounts: [{name: markets, mountPath: /run/foundry/markets}]
  volumes: [{name: markets, configMap: {name: foundry-markets}}]
"""
    )
    monkeypatch.setenv("FOUNDRY_POD_TEMPLATES", str(tmp_path))
    pod = pod_of(task("kubernetes", "labels"))
    container = pod["spec"]["containers"][0]
    assert pod["metadata"]["annotations"]["pool"] == "cheap"
    assert (pod["spec"]["serviceAccountName"], pod["spec"]["nodeSelector"]) == ("foundry-stage", {"pool": "cheap"})
    assert container["image"] == SETTINGS["FOUNDRY_IMAGE_CPU"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert {"/run/foundry/markets", "/tmp"} <= {mount["mountPath"] for mount in container["volumeMounts"]}  # noqa: S108 - inside the pod


@pytest.mark.parametrize("stage", list(STAGES))
def test_every_runtime_gives_a_stage_the_same_command_environment_limits_and_retries(task, pod_of, stage):
    spec = STAGES[stage]
    process, docker, kubernetes = (task(runtime, stage) for runtime in ("process", "docker", "kubernetes"))
    module = importlib.import_module("_stage_task")
    command = module.stage_command(stage, None, CONTEXT)
    pod = pod_of(kubernetes)
    container = pod["spec"]["containers"][0]
    assert container["command"] + container["args"] == command
    assert command[0] == "foundry", "the entrypoint of the image"

    told = {item["name"]: item["value"] for item in container["env"]}
    assert set(told) == set(docker.environment)
    assert {k: v for k, v in told.items() if k != "FOUNDRY_RUNTIME"} == {
        k: v for k, v in docker.environment.items() if k != "FOUNDRY_RUNTIME"
    }
    assert {k: told[k] for k in told if k in SETTINGS} == {
        k: v for k, v in module.process_environment().items() if k in told and k in SETTINGS
    }

    limits = docker_call(docker)
    assert limits["Memory"] == limits["MemorySwap"] == spec.memory_mb * 2**20
    assert container["resources"]["limits"]["memory"] == f"{spec.memory_mb}Mi"
    assert limits["NanoCpus"] <= spec.cpus * 1e9
    assert container["resources"]["limits"]["cpu"] == f"{spec.cpus:g}"
    for operator in (process, docker, kubernetes):
        assert operator.task_id == stage
        assert operator.retries == spec.retries
        assert operator.execution_timeout.total_seconds() == spec.timeout_s
        assert operator.trigger_rule == process.trigger_rule


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_container_may_do_nothing_that_its_stage_does_not_need(task, pod_of, stage):
    docker = task("docker", stage)
    limits = docker_call(docker)
    assert limits["ReadonlyRootfs"] is True
    assert limits["CapDrop"] == ["ALL"]
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert limits["Init"] is True
    assert limits["PidsLimit"] == STAGES[stage].pids
    assert {mount["Type"] for mount in limits["Mounts"]} == {"volume"}
    (own,) = (mount for mount in limits["Mounts"] if not mount["ReadOnly"])
    assert (own["Target"], own["Source"]) == ("/tmp", None)  # noqa: S108 - inside the container
    assert not {"Tmpfs", "Binds", "Privileged", "CapAdd", "Devices"} & set(limits)

    pod = pod_of(task("kubernetes", stage))["spec"]
    allowed = pod["containers"][0]["securityContext"]
    assert allowed["runAsNonRoot"] is True
    assert allowed["readOnlyRootFilesystem"] is True
    assert allowed["allowPrivilegeEscalation"] is False
    assert allowed["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & {key for key, value in pod.items() if value}


# ------------------------------------------------------------------ deep models
DEEP = {"models": ["lightgbm", "xlstm_ts"]}


def context_of(conf):
    return CONTEXT | {"params": ParamsDict({key: Param(value) for key, value in conf.items()})}


@pytest.mark.parametrize(
    ("stage", "shard", "conf", "kind"),
    [
        ("models", "model=xlstm_ts", DEEP, "CUDA"),
        ("models", "model=light", DEEP, "CPU"),
        ("models", None, {}, "CPU"),
        ("refit", None, DEEP, "CUDA"),
        ("refit", None, {}, "CPU"),
        ("predict", None, DEEP, "CPU"),
    ],
)
def test_in_either_kind_of_container_a_fit_of_a_deep_model_has_its_image_and_asks_for_a_gpu(
    task, stage, shard, conf, kind
):
    docker, kubernetes = task("docker", stage, shard), task("kubernetes", stage, shard).pod
    for operator in (docker, kubernetes):
        operator.choose_image(context_of(conf))
        assert operator.image == SETTINGS[f"FOUNDRY_IMAGE_{kind}"]
    assert docker.environment["FOUNDRY_IMAGE_DIGEST"] == kubernetes.env_vars["FOUNDRY_IMAGE_DIGEST"] == docker.image
    assert docker.gpus == (kind == "CUDA")
    assert ("--gpus all" in docker.by_hand(["foundry", stage])) == (kind == "CUDA")
    assert ("nvidia.com/gpu" in kubernetes.container_resources.limits) == (kind == "CUDA")


def test_a_markets_models_count_as_the_confs(task, tmp_path, monkeypatch):
    (tmp_path / "us.toml").write_text('models = ["xlstm_ts"]')
    monkeypatch.setenv("FOUNDRY_MARKETS", str(tmp_path))
    docker = task("docker", "refit")
    docker.choose_image(CONTEXT)
    assert docker.image == SETTINGS["FOUNDRY_IMAGE_CUDA"]


def test_a_cluster_without_a_gpu_is_asked_for_none(task, monkeypatch):
    monkeypatch.setenv("FOUNDRY_POD_GPUS", "0")
    kubernetes = task("kubernetes", "models", "model=xlstm_ts").pod
    kubernetes.choose_image(context_of(DEEP))
    assert kubernetes.image == SETTINGS["FOUNDRY_IMAGE_CUDA"]
    assert set(kubernetes.container_resources.limits) == {"cpu", "memory"}


def test_without_the_image_of_the_deep_models_the_one_line_says_how_to_make_it(task, monkeypatch):
    monkeypatch.setenv("FOUNDRY_IMAGE_CUDA", "")
    task("docker", "models", "model=light").choose_image(context_of(DEEP))
    with pytest.raises(
        AirflowFailException, match=r"FOUNDRY_IMAGE_CUDA is not set: .* `make image-cuda`, then `make up`"
    ):
        task("docker", "models", "model=xlstm_ts").choose_image(context_of(DEEP))


def test_an_impossible_conf_fails_at_once_and_no_container_is_asked_for(task):
    with pytest.raises(AirflowFailException, match="folds=1"):
        task("docker", "refit").choose_image(context_of({"folds": 1}))


# ------------------------------------------------------------------ what only some stages have
def test_only_prices_reaches_the_internet_and_only_what_writes_the_registry_has_the_keys_of_the_ledger(task):
    networks = {name: task("docker", name).network_mode for name in STAGES}
    assert {name for name, network in networks.items() if network == "foundry-outside"} == {"prices"}
    keys = {name: task("docker", name).files for name in STAGES}
    assert {name for name, files in keys.items() if files == "foundry-promote"} == {
        name for name, spec in STAGES.items() if spec.writes_registry
    }


def test_a_shard_is_part_of_the_command_and_of_the_containers_name(task):
    module = importlib.import_module("_stage_task")
    docker = importlib.import_module("_docker_stage")
    shards = [None, "h=1", "h=5,model=lightgbm"]
    names = {docker.container_name(module.container_labels("models", shard, CONTEXT)) for shard in shards}
    assert len(names) == 3
    assert module.stage_command("models", "h=1", CONTEXT)[6:8] == ["--shard", "h=1"]


@pytest.mark.parametrize("runtime", ["docker", "kubernetes"])
def test_without_an_image_the_one_line_says_how_to_make_it(task, monkeypatch, runtime):
    monkeypatch.setenv("FOUNDRY_IMAGE_CPU", "")
    with pytest.raises(AirflowFailException, match="FOUNDRY_IMAGE_CPU is not set: build the images with `make images`"):
        task(runtime, "prices")


# ------------------------------------------------------------------ a pod's end
@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (10, AirflowFailException),
        (20, AirflowFailException),
        (30, AirflowException),
        (99, AirflowSkipException),
        (137, AirflowException),
    ],
)
def test_a_pods_exit_code_means_what_a_processs_means(task, monkeypatch, code, outcome):
    operator = task("kubernetes", "prices").pod
    monkeypatch.setattr(operator, "patch_already_checked", lambda *_, **__: None)
    monkeypatch.setattr(operator, "process_pod_deletion", lambda *_, **__: None)
    monkeypatch.setattr(operator, "is_istio_enabled", lambda *_: False)  # it would call an API server
    ended = k8s.V1ContainerStateTerminated(exit_code=code, message="a\nfoundry: why")
    pod = k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(name="p", annotations={}),
        spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base")]),
        status=k8s.V1PodStatus(
            phase="Failed",
            container_statuses=[
                k8s.V1ContainerStatus(
                    name="base", image="i", image_id="i", ready=False, restart_count=0,
                    state=k8s.V1ContainerState(terminated=ended),
                )
            ],
        ),
    )  # fmt: skip
    with pytest.raises(AirflowException) as raised:
        operator.cleanup(pod, pod)
    assert type(raised.value) is outcome
    assert "foundry: why" in str(raised.value)


def test_no_secret_is_in_what_a_container_is_told(task, pod_of, tmp_path, monkeypatch):
    for name in ("s3_access_key", "s3_secret_key", "mlflow_password"):
        (tmp_path / name).write_text(f"secret-{name}")
    monkeypatch.setitem(SETTINGS, "FOUNDRY_SECRETS", str(tmp_path))
    shown = json.dumps([docker_call(task("docker", "promote")), pod_of(task("kubernetes", "promote"))])
    assert "secret-" not in shown + json.dumps(task("docker", "promote").environment)
