"""foundry_promote in Airflow: a person answers over the REST API, and the ledger has their name."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime

import pytest

from foundry_tasks.adapters.registry_mlflow import MlflowRegistry
from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import sha256_of
from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.ports import Registration
from foundry_tasks.ledger import decisions as governance
from foundry_tasks.ledger.chain import EvidenceLog, Ledger, project
from foundry_tasks.ledger.records import Entry

pytestmark = pytest.mark.slow(40)

MODEL = "foundry-us-5d"
PATIENCE_S = 300


class Airflow:
    """Airflow on SQLite in one folder, with API server; all users are administrators."""

    def __init__(self, folder):
        self.folder = folder
        self.store = LocalStore(folder / "store")
        self.registry = MlflowRegistry(f"sqlite:///{folder}/mlflow.db", str(folder / "mlartifacts"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "dags" / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "FOUNDRY_STORE": str(folder / "store"),
            "FOUNDRY_MLFLOW_URI": f"sqlite:///{folder}/mlflow.db",
            "FOUNDRY_MLFLOW_ARTIFACTS": str(folder / "mlartifacts"),
            "FOUNDRY_MLFLOW_URL": "http://127.0.0.1:5000",
            "PYTHONWARNINGS": "ignore",
        }

    def start(self, log, *command):
        with (self.folder / log).open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def ask(self, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method="GET" if body is None else "PATCH",
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {getattr(self, 'token', '')}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def add(self, event):
        """Register a version with this event. Returns its number."""
        bundle = self.folder / "bundle.zip"
        bundle.write_bytes(f"bundle after {len(self.registry.versions(MODEL))}".encode())
        wanted = Registration(
            model=MODEL, bundle=bundle, sha256=sha256_of(bundle.read_bytes()), horizon=5, features=("f",),
            example=[{"date": "2022-12-28", "ticker": "A", "f": 1.0}], evidence={"gates": {}},
        )  # fmt: skip
        version = self.registry.register(wanted)
        for said in ("registered", event):
            entry = Entry(
                event=said,
                version=version.version,
                sha256=version.sha256,
                who="run",
                when=datetime.now(UTC),
                why="gates",
            )
            Ledger(self.store).append(MODEL, lambda _, entry=entry: entry)
        project(Ledger(self.store), self.registry, MODEL)
        return version.version

    def promote(self, log, answer, **conf):
        """Run the DAG and answer its question. Returns path and state of its run, and the question; `told` is its text.

        An answer that arrives before `dags test` waits for it would be overwritten, and the task would never resume.
        """
        running = self.start(log, "dags", "test", "foundry_promote", "--conf", json.dumps({"model": MODEL, **conf}))
        try:
            details = "/api/v2/dags/foundry_promote/dagRuns/~/hitlDetails?response_received=false"
            waits = "Waiting for Human-in-the-loop input"
            asked = until(lambda: waits in self.text(log) and self.asleep(details), lambda: self.text(log))
            self.told = asked["body"]
            run_id = asked["task_instance"]["dag_run_id"]
            run = f"/api/v2/dags/foundry_promote/dagRuns/{urllib.parse.quote(run_id)}"
            self.ask(f"{run}/taskInstances/approval/-1/hitlDetails", answer)
            running.wait(PATIENCE_S)
        finally:
            running.kill()
            running.wait()
        return run, self.ask(run)["state"], asked["subject"]

    def asleep(self, details):
        """The newest question whose task is deferred."""
        asked = [one for one in self.ask(details)["hitl_details"] if one["task_instance"]["state"] == "awaiting_input"]
        return asked[-1] if asked else None

    def text(self, log):
        return (self.folder / log).read_text()


def until(attempt, explain):
    """Repeat `attempt` until it returns something."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if found := attempt():
                return found
        except (urllib.error.URLError, ConnectionError):
            pass
        assert time.monotonic() < deadline, explain()
        time.sleep(0.5)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    here = Airflow(tmp_path_factory.mktemp("airflow"))
    assert here.start("migrate.log", "db", "migrate").wait(PATIENCE_S) == 0, here.text("migrate.log")
    command = ("api-server", "--host", "127.0.0.1", "--port", str(here.port), "--workers", "1")
    server = here.start("server.log", *command)
    try:
        here.token = until(lambda: here.ask("/auth/token")["access_token"], lambda: here.text("server.log"))
        yield here
    finally:
        server.terminate()
        server.wait(60)


def approves(reason):
    return {"chosen_options": ["Approve"], "params_input": {"reason": reason}}


def test_an_approved_near_miss_becomes_champion_under_the_approvers_name(airflow):
    version = airflow.add("challenger")
    run, state, asked = airflow.promote(
        "approved.log", approves("the desk wants it"), action="approve", version=version
    )
    assert (state, asked) == ("success", f"approve {MODEL} version {version}"), airflow.text("approved.log")
    assert f"{MODEL} version {version}: challenger. gates." in airflow.told
    assert "No look at its forecast is recorded" in airflow.told
    record = Ledger(airflow.store).state(MODEL).records[-1]
    assert not record.authenticated, "this Airflow asks for no login"
    assert (record.event, record.to_version, record.who, record.why) == (
        "promoted", version, "Anonymous", "the desk wants it"
    )  # fmt: skip
    assert governance.verify(airflow.store, airflow.registry) == []
    event = airflow.ask("/api/v2/assets/events")["asset_events"][-1]
    assert (event["uri"], event["extra"]["version"]) == ("foundry://models/us/5d", version)
    links = airflow.ask(f"{run}/taskInstances/decide/links")["extra_links"]
    assert links == {"MLflow": f"http://127.0.0.1:5000/#/models/{MODEL}/versions/{version}"}


def test_an_approved_policy_is_in_the_ledger_under_the_approvers_name_and_announces_no_champion(airflow):
    before = len(airflow.ask("/api/v2/assets/events")["asset_events"])
    _, state, asked = airflow.promote(
        "policy.log", approves("fewer near misses"), action="policy", market="us", changes="min_auc=0.53 folds=4"
    )
    assert (state, asked) == ("success", "policy of us: min_auc=0.53 folds=4"), airflow.text("policy.log")
    assert "min_auc: 0.52 → 0.53, counts at once." in airflow.told
    change = EvidenceLog(airflow.store).state().last_change("us")
    assert (change.who, change.why, change.changes) == ("Anonymous", "fewer near misses", {"min_auc": 0.53, "folds": 4})
    assert governance.verify(airflow.store, airflow.registry) == []
    assert len(airflow.ask("/api/v2/assets/events")["asset_events"]) == before


def test_what_the_gates_refused_no_approval_makes_champion(airflow):
    refused = airflow.add("refused")
    before = Ledger(airflow.store).state(MODEL)
    _, state, _ = airflow.promote("refused.log", approves("looks fine"), action="approve", version=refused)
    assert state == "failed"
    assert f"version {refused} cannot be approved: its gates, or what followed them, refused it" in airflow.text(
        "refused.log"
    )
    assert Ledger(airflow.store).state(MODEL) == before


def test_who_rejects_moves_nothing_and_the_run_is_no_failure(airflow):
    airflow.add("challenger")
    before = Ledger(airflow.store).state(MODEL)
    answer = {"chosen_options": ["Reject"], "params_input": {"reason": None}}
    run, state, asked = airflow.promote("rejected.log", answer, action="rollback")
    assert (state, asked) == ("success", f"rollback {MODEL}")
    assert airflow.ask(f"{run}/taskInstances/decide")["state"] == "skipped"
    assert Ledger(airflow.store).state(MODEL) == before
