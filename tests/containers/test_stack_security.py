"""Forbidden operations, tried on the running stack."""

import json
import subprocess

import pytest

from tests.containers.stack import AIRFLOW, MLFLOW, REPORTS, REPOSITORY, Stack, basic, images, request

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

PUBLISHED = {8080, 5000, 8000}


def secrets():
    """All secret values. Access keys are names, not secrets."""
    return {path.name: path.read_text() for path in (REPOSITORY / "secrets").iterdir() if "access_key" not in path.name}


def leaks(text):
    return [name for name, value in secrets().items() if value in text]


def in_stage(network, files, program):
    """Run a Python program in a stage's container, with a volume's keys."""
    command = [
        "docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--user", "10001:10001", "--network", network,  # noqa: S108
        "--volume", f"{files}:/run/foundry:ro", "--entrypoint", "python", images()["FOUNDRY_IMAGE_STAGE_CPU"], "-c", program,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


# ------------------------------------------------------------------ who runs, and what can be seen
def test_no_container_but_postgres_starts_as_root(stack):
    started_as_root = {
        one.labels["com.docker.compose.service"]
        for one in stack.services()
        if one.attrs["Config"]["User"].split(":")[0] in {"", "0", "root"}
    }
    assert started_as_root <= {"postgres"}


def test_no_process_of_the_running_stack_is_root_but_postgres_start(stack):
    for one in stack.services():
        if one.status != "running":
            continue
        table = one.top(ps_args="-eo pid,user,comm")
        roots = [process for process in table["Processes"] if process[1] in {"root", "0"}]
        assert not roots or one.labels["com.docker.compose.service"] == "postgres", roots


def test_no_secret_is_in_what_docker_inspect_shows(stack):
    for one in stack.services():
        assert leaks(json.dumps(one.attrs)) == [], one.name


def test_no_secret_is_in_the_log_of_a_service(stack):
    for one in stack.services():
        assert leaks(one.logs().decode(errors="replace")) == [], one.name


def test_no_secret_is_in_what_airflow_shows_of_a_run(stack):
    runs = stack.airflow("/dags/~/dagRuns?limit=100").json["dag_runs"]
    assert runs, "some test ran a DAG before"
    for run in runs:
        for task in stack.tasks(run["dag_id"], run["dag_run_id"]):
            assert leaks(json.dumps(task)) == []
            if task["try_number"]:
                path = f"{run['dag_run_id']}", task["task_id"], task["try_number"], task["map_index"]
                assert leaks(stack.log(run["dag_id"], *path)) == []


def test_only_the_three_pages_are_published_and_only_on_this_machine(stack):
    published = [
        (int(binding["HostPort"]), binding["HostIp"])
        for one in stack.services()
        for bindings in (one.attrs["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    ]
    assert {port for port, _ in published} == PUBLISHED
    assert {address for _, address in published} == {"127.0.0.1"}


# ------------------------------------------------------------------ who is let in
@pytest.mark.parametrize(
    "url",
    [
        f"{AIRFLOW}/api/v2/dags",
        f"{AIRFLOW}/api/v2/connections",
        f"{MLFLOW}/api/2.0/mlflow/registered-models/search",
        f"{MLFLOW}/",
        f"{REPORTS}/",
        f"{REPORTS}/pages/",
    ],
)
@pytest.mark.parametrize("login", [None, ("admin", "wrong"), ("", ""), ("foundry", "wrong")], ids=str)
def test_nobody_is_let_in_without_the_right_password(stack, url, login):
    assert request(url, headers=basic(*login) if login else {}).status in {401, 403}


def test_airflow_gives_no_token_for_a_wrong_password(stack):
    for password in ("", "wrong", "admin"):
        answer = request(f"{AIRFLOW}/auth/token", method="POST", body={"username": "admin", "password": password})
        assert answer.status in {400, 401}, answer.body


def test_a_stage_may_not_write_the_registry(stack):
    model = "foundry-security"
    assert stack.mlflow("registered-models/create", user="promote", method="POST", body={"name": model}).status in {
        200,
        400,
    }
    for path, method, body in (
        ("registered-models/alias", "POST", {"name": model, "alias": "champion", "version": "1"}),
        ("model-versions/create", "POST", {"name": model, "source": "s3://mlflow/x"}),
        ("registered-models/delete", "DELETE", {"name": model}),
    ):
        assert stack.mlflow(path, user="stage", method=method, body=body).status == 403, path
    assert stack.mlflow(f"registered-models/get?name={model}", user="stage").status == 200
    assert stack.mlflow("registered-models/delete", user="promote", method="DELETE", body={"name": model}).status == 200


WRITE = """
from foundry_tasks.adapters.stores import open_store
from foundry_tasks.contract.environment_variables import Settings
store = open_store(Settings(store="s3://foundry", s3_endpoint="http://s3:7070", secrets="/run/foundry/secrets"))
print(store.create({key!r}, b"x"))
"""


def test_a_stage_may_write_its_results_and_not_the_ledger(stack):
    refused = in_stage("foundry-stages", "foundry-stage", WRITE.format(key="ledger/foundry-none/00000001.json"))
    assert refused.returncode != 0
    assert "ConfigError" in refused.stderr, refused.stderr
    written = in_stage("foundry-stages", "foundry-stage", WRITE.format(key="quarantine/security/test"))
    assert written.returncode == 0, written.stderr


# ------------------------------------------------------------------ what a stage reaches
REACH = """
import socket
for host, port in {where!r}:
    try:
        socket.create_connection((host, port), timeout=3).close()
        print(host, end=" ")
    except OSError:
        pass
"""
PLACES = [
    ("s3", 7070),
    ("mlflow", 5000),
    ("postgres", 5432),
    ("docker-proxy", 2375),
    ("api-server", 8080),
    ("scheduler", 8793),
    ("scheduler", 8974),
]


@pytest.mark.parametrize(("network", "reached"), [("foundry-stages", {"s3", "mlflow"}), ("foundry-outside", {"s3"})])
def test_a_stage_reaches_the_store_and_mlflow_and_neither_the_proxy_nor_postgres(stack, network, reached):
    seen = in_stage(network, "foundry-stage", REACH.format(where=PLACES))
    assert set(seen.stdout.split()) == reached, seen.stderr


@pytest.fixture
def world():
    """An address outside this host: another network, to which the host routes."""
    commands = (
        "ip netns add foundry-world",
        "ip link add foundry-w0 type veth peer name foundry-w1 netns foundry-world",
        "ip address add 198.51.100.1/30 dev foundry-w0",
        "ip link set foundry-w0 up",
        "ip -n foundry-world address add 198.51.100.2/30 dev foundry-w1",
        "ip -n foundry-world link set foundry-w1 up",
        "ip -n foundry-world route add default via 198.51.100.1",
    )
    serve = "ip netns exec foundry-world python3 -m http.server 8080 --directory /run"
    try:
        for command in commands:
            subprocess.run(command.split(), check=True, capture_output=True)
        with subprocess.Popen(serve.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                Stack.until(lambda: request("http://198.51.100.2:8080").status, bool, timeout_s=60)
                yield "198.51.100.2", 8080
            finally:
                server.kill()
    finally:
        subprocess.run(["ip", "netns", "delete", "foundry-world"], check=False, capture_output=True)


def test_only_the_network_of_prices_leads_out(stack, world):
    program = REACH.format(where=[world])
    assert in_stage("foundry-outside", "foundry-stage", program).stdout.split() == [world[0]]
    assert in_stage("foundry-stages", "foundry-stage", program).stdout.split() == []


def test_the_scheduler_cannot_start_what_is_no_stage(stack):
    program = (
        "import docker; c = docker.from_env().api\n"
        "try:\n"
        "    c.create_container('{image}', host_config=c.create_host_config(privileged=True, binds=['/:/host']))\n"
        "    print('started')\n"
        "except docker.errors.APIError as error:\n"
        "    print(error.status_code)\n"
    ).format(image=images()["FOUNDRY_IMAGE_STAGE_CPU"])
    code, output = stack.service("scheduler").exec_run(["python", "-c", program])
    assert (code, output.decode().strip()) == (0, "403")
