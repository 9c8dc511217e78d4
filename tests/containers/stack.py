"""The stack that `make up` started, by its interfaces: REST of Airflow and MLflow, the reports page, the engine."""

import base64
import json
import re
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import docker

from foundry_tasks.contract.policy import RULES
from tests.e2e.foundry_here import TINY

Seen = TypeVar("Seen")

REPOSITORY = Path(__file__).parents[2]
AIRFLOW, MLFLOW, REPORTS = (f"http://127.0.0.1:{port}" for port in (8080, 5000, 8000))
PROJECT = "foundry"
ENDED = {"success", "failed"}
AT_WORK = re.compile(r"airflow worker -- (LocalExecutor: )?[0-9a-f]{8}-")
"""How Airflow calls the process that runs a task, and the one that watches over it."""
NEW = secrets.token_hex(3)
"""Part of run names, so that repeated tests on one stack use new runs."""
SMALL = {key: value for key, value in TINY.items() if RULES.get(key) != "fixed"} | {"start": "2021-01-04"}
"""Conf of a run on the sample that takes seconds per stage. The policy fixes the other keys of TINY."""


@dataclass
class Answer:
    """The answer to an HTTP request."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    url: str, *, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None, timeout_s: float = 60
) -> Answer:
    """Send an HTTP request. HTTP errors are returned, not raised."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json"} | (headers or {})
    )
    try:
        with urllib.request.urlopen(asked, timeout=timeout_s) as answer:
            return Answer(answer.status, answer.read(), dict(answer.headers))
    except urllib.error.HTTPError as refusal:
        return Answer(refusal.code, refusal.read(), dict(refusal.headers))
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        return Answer(0, str(error).encode())


def secret(name: str) -> str:
    return (REPOSITORY / "secrets" / name).read_text()


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Stack:
    """A running stack."""

    def __init__(self) -> None:
        self.engine = docker.from_env(timeout=120)

    # ------------------------------------------------------------ Airflow
    @cached_property
    def _token(self) -> str:
        login = {"username": "admin", "password": secret("airflow_admin_password")}
        token: str = request(f"{AIRFLOW}/auth/token", method="POST", body=login).json["access_token"]
        return token

    def airflow(self, path: str, *, method: str = "GET", body: Any = None) -> Answer:
        """Call Airflow's REST API as admin."""
        return request(
            f"{AIRFLOW}/api/v2{path}", method=method, body=body, headers={"Authorization": f"Bearer {self._token}"}
        )

    def trigger(self, dag: str, conf: Mapping[str, Any], run_id: str) -> Answer:
        """Trigger a run like the UI's form."""
        self.airflow(f"/dags/{dag}", method="PATCH", body={"is_paused": False})
        return self.airflow(
            f"/dags/{dag}/dagRuns", method="POST", body={"dag_run_id": run_id, "logical_date": None, "conf": conf}
        )

    def state(self, dag: str, run_id: str) -> str:
        """A run's state; "unknown" while Airflow does not answer."""
        answer = self.airflow(f"/dags/{dag}/dagRuns/{run_id}")
        state: str = answer.json["state"] if answer.status == 200 else "unknown"
        return state

    def tasks(self, dag: str, run_id: str) -> list[dict[str, Any]]:
        answer = self.airflow(f"/dags/{dag}/dagRuns/{run_id}/taskInstances?limit=200")
        found: list[dict[str, Any]] = answer.json["task_instances"] if answer.status == 200 else []
        return found

    def wait(self, dag: str, run_id: str, *, timeout_s: float = 900) -> str:
        """Wait for a run. Returns its final state."""
        return self.until(lambda: self.state(dag, run_id), lambda state: state in ENDED, timeout_s=timeout_s)

    def wait_for_task(
        self, dag: str, run_id: str, task: str, states: set[str], *, timeout_s: float = 600
    ) -> dict[str, Any]:
        """Wait until a task is in one of `states`. Returns the task instance."""

        def look() -> dict[str, Any]:
            found = [one for one in self.tasks(dag, run_id) if one["task_id"] == task]
            return next((one for one in found if one["state"] in states), {})

        return self.until(look, bool, timeout_s=timeout_s)

    def log(self, dag: str, run_id: str, task: str, attempt: int = 1, map_index: int = -1) -> str:
        """A task's log as in the UI, one line per event."""
        path = (
            f"/dags/{dag}/dagRuns/{run_id}/taskInstances/{task}/logs/{attempt}?full_content=true&map_index={map_index}"
        )
        lines = []
        for event in self.airflow(path).json["content"]:
            lines.append(f"{event.get('level', '')} {event.get('event', '')}")
            lines += [f"{error['exc_type']}: {error['exc_value']}" for error in event.get("error_detail") or ()]
        return "\n".join(lines)

    # ------------------------------------------------------------ MLflow
    def mlflow(self, path: str, *, user: str = "admin", method: str = "GET", body: Any = None) -> Answer:
        """Call MLflow's REST API as one of its users."""
        login = basic(user, secret(f"mlflow_{user}_password"))
        return request(f"{MLFLOW}/api/2.0/mlflow/{path}", method=method, body=body, headers=login)

    # ------------------------------------------------------------ the engine
    def service(self, name: str) -> Any:
        """The container of a compose service."""
        labels = [f"com.docker.compose.project={PROJECT}", f"com.docker.compose.service={name}"]
        return self.engine.containers.list(all=True, ignore_removed=True, filters={"label": labels})[0]

    def services(self) -> list[Any]:
        found: list[Any] = self.engine.containers.list(
            all=True, ignore_removed=True, filters={"label": f"com.docker.compose.project={PROJECT}"}
        )
        return found

    def stage_containers(self, run_id: str | None = None) -> list[Any]:
        """Containers of stages, in any state."""
        found = self.engine.containers.list(all=True, ignore_removed=True, filters={"label": "foundry.managed=true"})
        return [one for one in found if run_id is None or one.labels["foundry.run"].startswith(run_id)]

    def healthy(self, *names: str, timeout_s: float = 300) -> None:
        """Wait until the services are healthy."""
        for name in names:
            self.until(
                partial(self._health, name),
                lambda health: health == "healthy",
                timeout_s=timeout_s,
            )

    def _health(self, name: str) -> str | None:
        status: str | None = self.service(name).attrs["State"].get("Health", {}).get("Status")
        return status

    def sql(self, database: str, statement: str) -> None:
        """Run a statement on the stack's Postgres as administrator."""
        done = self.service("postgres").exec_run(["psql", "-d", database, "-c", statement], user="postgres")
        assert done.exit_code == 0, done.output

    def foundry(self, *arguments: str, files: str = "foundry-promote") -> subprocess.CompletedProcess[str]:
        """Run `foundry …` in a container with the keys of a volume."""
        image = images()["FOUNDRY_IMAGE_STAGE_CPU"]
        settings = {
            "FOUNDRY_STORE": "s3://foundry", "FOUNDRY_S3_ENDPOINT": "http://s3:7070",
            "FOUNDRY_SECRETS": "/run/foundry/secrets", "FOUNDRY_MLFLOW_URI": "http://mlflow:5000", "FOUNDRY_IMAGE_DIGEST": image,
        }  # fmt: skip
        told = [part for key, value in settings.items() for part in ("--env", f"{key}={value}")]
        command = [
            "docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--user", "10001:10001", "--network", "foundry-stages",  # noqa: S108
            "--volume", f"{files}:/run/foundry:ro", *told, image, *arguments,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    @staticmethod
    def until(look: Callable[[], Seen], good: Callable[[Seen], object], *, timeout_s: float) -> Seen:
        """Repeat `look` until its result is good. Returns the result."""
        deadline = time.monotonic() + timeout_s
        while not good(seen := look()):
            assert time.monotonic() < deadline, f"still {seen!r} after {timeout_s} s"
            time.sleep(1)
        return seen


def make(*goals: str) -> str:
    """Run `make …` in the checkout. Returns its output."""
    done = subprocess.run(
        ["make", "--no-print-directory", *goals],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def images() -> dict[str, str]:
    """Variable → image ID, from `make images`."""
    lines = (REPOSITORY / ".images.env").read_text().split()
    return dict(line.split("=", 1) for line in lines if "=" in line)
