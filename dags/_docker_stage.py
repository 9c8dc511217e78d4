"""A stage as a hardened container of this host's Docker engine. If a worker dies, the retry adopts the container.

DockerOperator has no arguments for a read-only root, dropped capabilities, a process limit or a CPU quota. It reads the
result from the last log line and starts a second container when its worker is killed. This operator therefore creates
the container itself, through DockerOperator's hook. The container name is the lock: one try creates it, others adopt it.
"""

import os
import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from _stage_task import (
    FILES_AT,
    GRACE_S,
    UID,
    WHOLE,
    container_environment,
    container_labels,
    image_kind,
    image_of,
    out_of_memory,
    published,
    raise_for_exit,
    say,
    stage_command,
    task_arguments,
)
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from docker.errors import APIError, NotFound
from docker.types import DeviceRequest, HostConfig, LogConfig, Mount
from requests.exceptions import ChunkedEncodingError, RequestException
from requests.exceptions import ConnectionError as NoConnection

from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.stages import STAGES, StageSpec

USER = f"{UID}:{UID}"
WORKSPACE = "/tmp"  # noqa: S108 - an anonymous volume, deleted with the container; a tmpfs would use memory
_CONFLICT = 409
_REFUSED = {
    400: "the engine rejects the request",
    403: "the Docker proxy refuses this container, FOUNDRY_PROXY_* sets what it allows",
    404: "the engine lacks the image, network or volume, `make up` creates them",
}
"""Status codes of `create` and `start` that a retry cannot change."""
_NO_GPU = "could not select device driver"
"""The engine's message if the host has no GPU or no NVIDIA container runtime."""


class DockerStage(DockerOperator):
    """XCom: the result's address, its digest and its metrics, read from the store."""

    template_fields = ("shard",)
    network_mode: str

    def __init__(self, *, stage: str, shard: str | None = None, **arguments: Any) -> None:
        settings = Settings.from_environment()
        image = image_of("cpu", settings)
        super().__init__(
            image=image,
            environment=container_environment(settings, image),
            network_mode=settings.outside_network if STAGES[stage].needs_internet else settings.stage_network,
            mount_tmp_dir=False,
            **task_arguments(stage) | arguments,
        )
        self.stage = stage
        self.shard = shard
        self.gpus = False
        self.files = settings.promote_files if STAGES[stage].writes_registry else settings.stage_files

    # ------------------------------------------------------------ a task's life
    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override] # Airflow takes any XCom
        self.choose_image(context)
        command = stage_command(self.stage, self.shard, context)
        labels = container_labels(self.stage, self.shard, context)
        self.log.info("by hand: %s", self.by_hand(command))
        try:
            self.container = self._adopt(labels) or self._start(command, labels)
            last = self._follow()
            state = self.cli.wait(self.container["Id"], timeout=None)
            killed_for_memory = self.cli.inspect_container(self.container["Id"])["State"]["OOMKilled"]
            self._remove()
        except (APIError, RequestException) as error:
            raise AirflowException(f"the Docker engine failed, will be tried again: {error}") from error
        if killed_for_memory:
            last = out_of_memory(self.stage)
        raise_for_exit(state["StatusCode"], last)
        return published(self.stage, self.shard, context)

    def on_kill(self) -> None:
        if not self.container:
            return
        try:
            self.cli.stop(self.container["Id"], timeout=GRACE_S)
            self._remove()
        except NotFound:
            pass  # already removed

    # ------------------------------------------------------------ its container
    def choose_image(self, context: Context) -> None:
        """Set image and environment. A task that fits a deep model gets the CUDA image and a GPU."""
        settings = Settings.from_environment()
        kind = image_kind(self.stage, self.shard, context, settings)
        self.image = image_of(kind, settings)
        self.environment = container_environment(settings, self.image)
        self.gpus = kind == "cuda"

    def _adopt(self, labels: dict[str, str]) -> dict[str, Any] | None:
        """The container of an earlier try, if it runs or has succeeded. A failed one is removed."""
        left: list[dict[str, Any]] = self.cli.containers(
            all=True, filters={"label": [f"{k}={v}" for k, v in labels.items()]}
        )
        for found in left:
            if found["State"] == "created":  # the worker died between create and start
                self.cli.start(found["Id"])
                self.log.info("started container %s, which an earlier try created", found["Id"][:12])
                return found
            code = self.cli.inspect_container(found["Id"])["State"]["ExitCode"]
            if found["State"] == "running" or code == 0:
                self.log.info("adopted container %s, which an earlier try started", found["Id"][:12])
                return found
            self.cli.remove_container(found["Id"], v=True, force=True)
        return None

    def _start(self, command: list[str], labels: dict[str, str]) -> dict[str, Any]:
        """Start a new container; with a GPU if the task wants one and the host has one."""
        if self.gpus:
            try:
                return self._create(command, labels, gpus=True)
            except APIError as error:
                if _NO_GPU not in str(error.explanation):
                    raise
                self._remove_named(labels)
                self.log.warning(
                    "no GPU on this host, so the task runs on the CPU; by hand, omit --gpus: %s", error.explanation
                )
        return self._create(command, labels, gpus=False)

    def _create(self, command: list[str], labels: dict[str, str], *, gpus: bool) -> dict[str, Any]:
        try:
            made: dict[str, Any] = self.cli.create_container(
                image=self.image,
                command=command[1:],
                name=container_name(labels),
                user=USER,
                environment=self.environment,
                labels=labels,
                host_config=host_config(
                    STAGES[self.stage],
                    version=self.cli.api_version,
                    network=self.network_mode,
                    files=self.files,
                    gpus=gpus,
                ),
            )
            self.cli.start(made["Id"])
        except APIError as error:
            if why := _REFUSED.get(error.status_code):
                self._remove_named(labels)
                raise AirflowFailException(f"{why}: {error.explanation}") from error
            adopted = self._adopt(labels) if error.status_code == _CONFLICT else None
            if adopted is None:
                raise
            return adopted  # another try of this task created it first
        return made

    def by_hand(self, command: list[str]) -> str:
        """The `docker run` command that starts the same container."""
        spec = STAGES[self.stage]
        environment = [part for key, value in self.environment.items() for part in ("--env", f"{key}={value}")]
        return shlex.join(
            [
                "docker", "run", "--rm", "--init", "--read-only", "--cap-drop", "ALL",
                "--security-opt", "no-new-privileges:true", "--user", USER, "--network", self.network_mode,
                "--cpus", f"{spec.cpus:g}", "--memory", f"{spec.memory_mb}m", "--pids-limit", str(spec.pids),
                "--volume", WORKSPACE, "--volume", f"{self.files}:{FILES_AT}:ro", *(["--gpus", "all"] if self.gpus else []),
                *environment, self.image, *command[1:],
            ]
        )  # fmt: skip

    def _follow(self) -> str:
        """Copy the container's log to the task's log until it ends. Returns the last line."""
        last = ""
        for line in log_lines(self.cli, self.container["Id"]):
            last = line
            say(self.log, line)
        return last

    def _remove(self) -> None:
        self.cli.remove_container(self.container["Id"], v=True, force=True)

    def _remove_named(self, labels: dict[str, str]) -> None:
        try:
            self.cli.remove_container(container_name(labels), v=True, force=True)
        except NotFound:
            return


def host_config(spec: StageSpec, *, version: str, network: str, files: str, gpus: bool) -> dict[str, Any]:
    """Limits and rights of the container: a CPU quota (not shares), no host path, one named volume, read-only."""
    limits: dict[str, Any] = HostConfig(
        version=version,
        network_mode=network,
        mounts=[Mount(FILES_AT, files, type="volume", read_only=True), Mount(WORKSPACE, None, type="volume")],
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        init=True,
        nano_cpus=round(min(spec.cpus, os.cpu_count() or 1) * 1e9),
        mem_limit=f"{spec.memory_mb}m",
        memswap_limit=f"{spec.memory_mb}m",
        pids_limit=spec.pids,
        device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])] if gpus else None,
        log_config=LogConfig(type="json-file", config={"max-size": "20m", "max-file": "2"}),
    )
    return limits


def container_name(labels: dict[str, str]) -> str:
    """One name per task, so that only one try can create the container."""
    parts = [labels[f"foundry.{part}"] for part in ("dag", "run", "stage", "shard")]
    return "-".join(part for part in parts if part != WHOLE)


def log_lines(cli: Any, container: str) -> Iterator[str]:
    """Whole lines of a container's log until the container ends. A broken or silent stream resumes after the last line."""
    seen = ""
    while True:
        known = seen
        try:
            since = int(datetime.fromisoformat(known).timestamp()) if known else None
            for stamp, line in _stamped(cli.logs(container, stream=True, follow=True, timestamps=True, since=since)):
                if stamp > known:
                    seen = stamp
                    yield line
        except (NoConnection, ChunkedEncodingError):  # a minute without a line, or the proxy restarted
            pass
        if not cli.inspect_container(container)["State"]["Running"]:
            return


def _stamped(chunks: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    """(time stamp, line) per log line. A chunk may end inside a line; the last line may have no newline."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from map(_parted, whole)
    if rest:
        yield _parted(rest)


def _parted(line: bytes) -> tuple[str, str]:
    stamp, _, text = line.decode(errors="replace").partition(" ")
    return stamp, text.rstrip()
