"""The check of `helm test`: a training run on a tiny market, a model's alias, and the store.

It runs in the Airflow image with the rights of a stage. Each part prints a line. The first failure ends the test with a
line that says where to look.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any

MARKET = "helm_test"
HORIZON = 1
SECRETS = Path(os.environ.get("FOUNDRY_SECRETS", "/run/foundry/secrets"))
ENDED = ("success", "failed")


def call(
    url: str, *, body: Any = None, method: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Status and JSON of a call. HTTP errors are returned, not raised."""
    request = urllib.request.Request(  # noqa: S310 - addresses of the release
        url,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Content-Type": "application/json"} | (headers or {}),
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        text = refusal.read().decode(errors="replace")
        try:
            return refusal.code, json.loads(text)
        except ValueError:
            return refusal.code, {"message": text[:200]}


def secret(name: str) -> str:
    """The content of a secret file. Raises OSError if it cannot be read."""
    return (SECRETS / name).read_text().strip()


def train(airflow: str, timeout_s: float) -> str:
    """Run `foundry_train` on the tiny market and wait for its end. The DAG's pause is restored."""
    login = {"username": "admin", "password": secret("airflow_admin_password")}
    status, answer = call(f"{airflow}/auth/token", body=login)
    if "access_token" not in answer:
        sys.exit(f"Airflow refuses its admin (HTTP {status}). Did the migration job end? Look at its log.")
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    dag = f"{airflow}/api/v2/dags/foundry_train"
    paused = call(dag, headers=bearer)[1].get("is_paused", False)
    call(dag, body={"is_paused": False}, method="PATCH", headers=bearer)
    run = f"helm-test-{uuid.uuid4().hex[:8]}"
    wanted = {"dag_run_id": run, "logical_date": None, "conf": {"market": MARKET}}
    status, answer = call(f"{dag}/dagRuns", body=wanted, headers=bearer)
    if status != 200:
        sys.exit(f"Airflow does not start foundry_train (HTTP {status}): {answer}. Look at the DAG processor's log.")
    until = time.monotonic() + timeout_s
    state = "queued"
    while state not in ENDED and time.monotonic() < until:
        time.sleep(5)
        state = call(f"{dag}/dagRuns/{run}", headers=bearer)[1].get("state", state)
    call(dag, body={"is_paused": paused}, method="PATCH", headers=bearer)
    if state == "success":
        return f"foundry_train {run}: success"
    _, tasks = call(f"{dag}/dagRuns/{run}/taskInstances", headers=bearer)
    waited = "" if state in ENDED else f" after {timeout_s:.0f} s"
    sys.exit(f"foundry_train {run} is {state}{waited}. {unfinished(tasks)}")


def unfinished(tasks: dict[str, Any]) -> str:
    """Name the failed and unfinished tasks, without those that waited for a failed one."""
    states = {one["task_id"]: one["state"] for one in tasks.get("task_instances", [])}
    fine = ("success", "skipped", "upstream_failed")
    wrong = [f"{name} is {state or 'not begun'}" for name, state in states.items() if state not in fine]
    return f"Look at the logs of: {', '.join(wrong) or 'the scheduler'}."


def alias(mlflow: str) -> str:
    """Read the champion of the tiny market with a stage's login."""
    login = base64.b64encode(f"stage:{secret('mlflow_password')}".encode()).decode()
    query = urllib.parse.urlencode({"name": f"foundry-{MARKET}-{HORIZON}d", "alias": "champion"})
    found = call(
        f"{mlflow}/api/2.0/mlflow/registered-models/alias?{query}", headers={"Authorization": f"Basic {login}"}
    )
    return verdict(*found)


def verdict(status: int, answer: dict[str, Any]) -> str:
    """A line for MLflow's answer about an alias. No champion is correct if the gates refused the tiny run's model."""
    if status == 200:
        return f"MLflow: champion is version {answer['model_version']['version']}"
    if answer.get("error_code") in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        return "MLflow: no champion, since the gates did not promote the model"
    sys.exit(f"MLflow does not answer for an alias (HTTP {status}): {answer}. Look at the log of the job mlflow-users.")


def store() -> str:
    """Write a key and read it again, with a stage's keys."""
    from foundry_tasks.adapters.stores import open_store  # noqa: PLC0415 - the other parts need no package
    from foundry_tasks.contract.environment_variables import Settings  # noqa: PLC0415

    opened = open_store(Settings.from_environment())
    written = uuid.uuid4().hex.encode()
    opened.write("tests/helm", written)
    if opened.read("tests/helm") != written:
        sys.exit(f"{opened.locate('tests/helm')} does not hold what was written there. Look at the store's log.")
    return f"store: {opened.locate('tests/helm')} written and read"


if __name__ == "__main__":
    parts = [store]
    if os.environ["AIRFLOW_URL"]:
        parts.append(lambda: train(os.environ["AIRFLOW_URL"], float(os.environ["TIMEOUT_S"])))
    parts.append(lambda: alias(os.environ["FOUNDRY_MLFLOW_URI"]))
    for part in parts:
        print(part(), flush=True)  # noqa: T201 - output of a command
