"""The script of `helm test`: its messages for answers, and the store part on a temporary store."""

import importlib.util
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.chart.helm import CHART


@pytest.fixture
def script(tmp_path, monkeypatch):
    for name in ("airflow_admin_password", "mlflow_password"):
        (tmp_path / name).write_text("secret\n")
    monkeypatch.setenv("FOUNDRY_SECRETS", str(tmp_path))
    spec = importlib.util.spec_from_file_location("release_test", CHART / "files" / "release_test.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    return module


@pytest.fixture
def server():
    """server(answers): URL of a server that answers each path, in turn, with status and JSON. `asked` has the requests."""
    servers = []

    def serve(answers):
        class Answer(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                serve.asked.append((self.command, self.path, self.rfile.read(length)))
                turns = answers[self.path.partition("?")[0]]
                status, body = turns.pop(0) if len(turns) > 1 else turns[0]
                payload = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PATCH = answer  # noqa: N815 - names of the library

            def log_message(self, *_):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    serve.asked = []
    yield serve
    for one in servers:
        one.shutdown()
        one.server_close()


class AnyRun(dict):
    """Answers for a run whose name is not known in advance."""

    def __missing__(self, path):
        return self["tasks" if path.endswith("/taskInstances") else "run"]


def airflow(*states, tasks=()):
    return AnyRun({
        "/auth/token": [(201, {"access_token": "t"})],
        "/api/v2/dags/foundry_train": [(200, {"is_paused": True})],
        "/api/v2/dags/foundry_train/dagRuns": [(200, {})],
        "run": [(200, {"state": state}) for state in states],
        "tasks": [(200, {"task_instances": list(tasks)})],
    })  # fmt: skip


def test_a_run_that_ends_well_is_waited_for(script, server):
    url = server(airflow("queued", "running", "success"))
    assert script.train(url, 60).endswith(": success")
    (conf,) = [json.loads(body)["conf"] for method, path, body in server.asked if path.endswith("/dagRuns")]
    assert conf == {"market": "helm_test"}


def test_a_dag_that_was_paused_is_paused_again(script, server):
    script.train(server(airflow("success")), 60)
    assert [json.loads(body)["is_paused"] for method, _, body in server.asked if method == "PATCH"] == [False, True]


def test_a_run_that_fails_says_which_task_did(script, server):
    tasks = [
        {"task_id": "prices", "state": "failed"},
        {"task_id": "features", "state": "upstream_failed"},
        {"task_id": "a", "state": "success"},
    ]
    with pytest.raises(SystemExit, match=r"is failed\. Look at the logs of: prices is failed\."):
        script.train(server(airflow("failed", tasks=tasks)), 60)


def test_a_run_that_does_not_end_is_given_up(script, server):
    tasks = [{"task_id": "prices", "state": "queued"}, {"task_id": "features", "state": None}]
    with pytest.raises(SystemExit, match=r"is queued after 0 s\. .*: prices is queued, features is not begun\."):
        script.train(server(airflow("running", tasks=tasks)), 0)


def test_a_refused_login_names_the_migration(script, server):
    with pytest.raises(SystemExit, match=r"refuses its admin \(HTTP 401\)"):
        script.train(server({"/auth/token": [(401, {"detail": "no"})]}), 60)


def test_an_alias_is_read_as_the_stages_user(script, server):
    url = server({"/api/2.0/mlflow/registered-models/alias": [(200, {"model_version": {"version": "3"}})]})
    assert script.alias(url) == "MLflow: champion is version 3"
    assert server.asked[0][1].endswith("?name=foundry-helm_test-1d&alias=champion")


def test_no_champion_is_an_answer_and_a_refused_login_is_not(script):
    assert "no champion" in script.verdict(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
    with pytest.raises(SystemExit, match="HTTP 401"):
        script.verdict(401, {"message": "no"})


def test_the_store_is_written_and_read(script, tmp_path, monkeypatch):
    monkeypatch.setenv("FOUNDRY_STORE", str(tmp_path / "store"))
    assert "written and read" in script.store()
    assert (tmp_path / "store" / "tests" / "helm").read_bytes()
