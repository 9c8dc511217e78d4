"""The proxy, with its default limits, accepts the calls that Airflow makes for a stage."""

import importlib
import threading

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from foundry_tasks.contract.artifacts import run_key
from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.stages import STAGES
from tests.containers.docker_proxy.surroundings import Recorder, running_proxy

IMAGES = {"FOUNDRY_IMAGE_CPU": "sha256:" + "c" * 64, "FOUNDRY_IMAGE_CUDA": "sha256:" + "d" * 64}
RULES = {
    "FOUNDRY_PROXY_NETWORKS": "foundry-stages,foundry-outside",
    "FOUNDRY_PROXY_VOLUMES": "foundry-stage:ro,foundry-promote:ro",
    "FOUNDRY_PROXY_RESERVED": "foundry-outside=prices,foundry-promote=gates|promote|decide",
    "FOUNDRY_PROXY_MAX_MEMORY_MB": "",
    "FOUNDRY_PROXY_MAX_CPUS": "",
    "FOUNDRY_PROXY_MAX_PIDS": "",
}
"""The rules of docker-compose.yaml."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """(recorder, address of a proxy in front of it)."""
    path = tmp_path_factory.mktemp("engine") / "docker.sock"
    with Recorder(path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with running_proxy(str(path), ",".join(IMAGES.values()), **RULES) as proxy:
            yield server, f"tcp://127.0.0.1:{proxy.port}"
        server.shutdown()


@pytest.fixture
def operator(engine, monkeypatch):
    """operator(stage, shard) → its task, as in the stack's Airflow, and its container's labels."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "dags"))
    told = {"FOUNDRY_STORE": "s3://foundry", "FOUNDRY_SECRETS": "/run/foundry/secrets", "FOUNDRY_RUNTIME": "docker"}
    for name, value in (told | IMAGES).items():
        monkeypatch.setenv(name, value)

    def make(stage, shard=None):
        with DAG("foundry_train", schedule=None):
            task = importlib.import_module("_docker_stage").DockerStage(stage=stage, shard=shard, docker_url=engine[1])
        labels = {"foundry.managed": "true", "foundry.dag": "foundry_train", "foundry.stage": stage}
        labels |= {
            "foundry.run": run_key("manual__2026-07-01T12:00:00+00:00"),
            "foundry.shard": "0123456789ab" if shard else "whole",
        }
        return task, labels

    return make


@pytest.mark.parametrize("shard", [None, "h=5,model=lightgbm"])
@pytest.mark.parametrize("stage", list(STAGES))
def test_every_stage_of_airflows_is_made_and_started(engine, operator, stage, shard):
    recorder, _ = engine
    recorder.calls.clear()
    task, labels = operator(stage, shard)
    task._start(["foundry", stage, "--dag", "foundry_train"], labels)
    calls = [path.split("?")[0] for method, path, _ in recorder.calls if method == "POST"]
    assert calls == ["/v1.41/containers/create", "/v1.41/containers/f00d/start"]
    (body,) = [body for _, path, body in recorder.calls if "/create" in path]
    assert body["Cmd"][0] == stage


def test_a_container_that_the_proxy_refuses_is_not_asked_for_again(engine, operator, monkeypatch):
    recorder, _ = engine
    recorder.calls.clear()
    monkeypatch.setenv("FOUNDRY_STAGE_NETWORK", "host")
    task, labels = operator("features")
    with pytest.raises(AirflowFailException, match=r"the Docker proxy refuses this container.*NetworkMode"):
        task._start(["foundry", "features"], labels)
    assert [path for method, path, _ in recorder.calls if method == "POST"] == []
