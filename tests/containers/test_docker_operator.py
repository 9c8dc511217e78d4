"""The operator with a real engine: errors that a retry cannot change fail at once, and a GPU is used if there is one."""

import importlib
import sys

import docker
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from docker.errors import NotFound

from tests.containers.stack import NEW, REPOSITORY, images

pytestmark = [pytest.mark.containers, pytest.mark.timeout(120)]
LABELS = {
    "foundry.managed": "true", "foundry.dag": "operator", "foundry.run": f"{NEW}-00000000", "foundry.stage": "models",
    "foundry.shard": "whole",
}  # fmt: skip
COMMAND = ["foundry", "ledger", "--help"]


@pytest.fixture
def place():
    """A network and a volume for the test on the engine; its containers are removed."""
    engine = docker.from_env()
    network, volume = engine.networks.create(f"operator-{NEW}"), engine.volumes.create(f"operator-{NEW}")
    yield network.name
    assert engine.containers.list(all=True, filters={"network": network.name}) == []
    network.remove()
    volume.remove()


@pytest.fixture
def operator(place, monkeypatch):
    """operator(**settings) → the operator of the models stage, connected to the engine without the proxy."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "dags"))
    monkeypatch.setenv("FOUNDRY_RUNTIME", "docker")
    image = images()["FOUNDRY_IMAGE_STAGE_CPU"]
    settings = {"IMAGE_CPU": image, "IMAGE_CUDA": image, "STAGE_NETWORK": place, "STAGE_FILES": place, "STORE": "/none"}

    def make(**changed):
        for name, value in (settings | changed).items():
            monkeypatch.setenv(f"FOUNDRY_{name}", value)
        with DAG("operator", schedule=None):
            return importlib.import_module("_docker_stage").DockerStage(stage="models")

    yield make
    sys.modules.pop("_docker_stage", None)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"IMAGE_CPU": "sha256:" + "0" * 64}, "the engine lacks the image, network or volume.*No such image"),
        ({"STAGE_NETWORK": "no-such-network"}, "the engine lacks the image, network or volume.*no-such-network"),
    ],
)
def test_what_the_engine_lacks_fails_at_once_and_leaves_nothing(operator, changed, says):
    with pytest.raises(AirflowFailException, match=says):
        operator(**changed)._start(COMMAND, LABELS)
    assert docker.from_env().containers.list(all=True, filters={"label": f"foundry.run={NEW}-00000000"}) == []


def test_a_stage_that_wants_a_gpu_runs_on_the_cpu_of_a_host_without_one_and_says_so(operator, capsys):
    if "nvidia" in docker.from_env().info()["Runtimes"]:
        pytest.skip("this host has a GPU")
    task = operator()
    task.gpus = True
    task.container = task._start(COMMAND, LABELS)
    try:
        assert task.cli.wait(task.container["Id"])["StatusCode"] == 0
        assert task.cli.inspect_container(task.container["Id"])["HostConfig"]["DeviceRequests"] is None
        assert (
            "no GPU on this host, so the task runs on the CPU; by hand, omit --gpus: could not select device driver"
            in capsys.readouterr().out
        )
    finally:
        task._remove()


def test_what_a_stage_writes_lies_on_disk_and_goes_with_its_container(operator):
    task = operator()
    task.container = task._start(COMMAND, LABELS)
    try:
        assert task.cli.wait(task.container["Id"])["StatusCode"] == 0
        mounts = {one["Destination"]: one for one in task.cli.inspect_container(task.container["Id"])["Mounts"]}
        workspace = mounts["/tmp"]  # noqa: S108 - inside the container
        assert (workspace["Type"], workspace["RW"]) == ("volume", True)
    finally:
        task._remove()
    with pytest.raises(NotFound):
        task.cli.inspect_volume(workspace["Name"])
