"""The whole stack by its interfaces: a run over Airflow's REST API, its verdict in MLflow, its report by HTTP."""

import json
import re
import shutil
import subprocess

import pytest
from PIL import Image

from foundry_tasks.contract.artifacts import run_key
from foundry_tasks.contract.stages import PIPELINES
from tests.containers.stack import NEW, REPORTS, REPOSITORY, basic, images, request, secret
from tests.e2e.foundry_here import Foundry

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

RUN = f"first-run-{NEW}"


@pytest.fixture(scope="module")
def sample(stack):
    """Conf: the sample, and the shortest horizon without a version; on a new stack one day."""
    models = stack.mlflow("registered-models/search?max_results=100").json.get("registered_models", [])
    taken = {model["name"] for model in models}
    horizon = next(h for h in range(1, 61) if f"foundry-us-{h}d" not in taken)
    return {"horizons": [horizon], "models": ["logistic", "lightgbm"], "seeds": 1, "threads": 2}


@pytest.fixture(scope="module")
def trained(stack, sample):
    """A training run on the sample, triggered like by a user."""
    answer = stack.trigger("foundry_train", sample, RUN)
    assert answer.status == 200, answer.body
    return stack.wait("foundry_train", RUN, timeout_s=1200)


def test_a_run_that_is_triggered_over_rest_ends_well(stack, trained):
    states = {task["task_id"]: task["state"] for task in stack.tasks("foundry_train", RUN)}
    assert trained == "success", states
    assert set(PIPELINES["foundry_train"]) <= set(states)
    assert set(states.values()) <= {"success", "skipped"}


def test_every_stage_ran_in_a_container_of_its_image_and_left_none(stack, trained):
    for task in stack.tasks("foundry_train", RUN):
        if task["task_id"] not in PIPELINES["foundry_train"] or task["state"] != "success":
            continue
        log = stack.log("foundry_train", RUN, task["task_id"], map_index=task["map_index"])
        first = next(line for line in log.splitlines() if "by hand:" in line)
        assert "docker run --rm --init --read-only --cap-drop ALL" in first
        assert images()["FOUNDRY_IMAGE_STAGE_CPU"] in first
    assert stack.stage_containers() == []


def test_mlflow_shows_the_version_and_its_verdict_as_the_ledger_has_it(stack, trained, sample):
    name = f"foundry-us-{sample['horizons'][0]}d"
    shown = stack.foundry("ledger", "show", name)
    assert shown.returncode == 0, shown.stderr
    records = [json.loads(line) for line in shown.stdout.splitlines()]
    model = stack.mlflow(f"registered-models/get?name={name}").json["registered_model"]
    versions = stack.mlflow(f"model-versions/search?filter=name%3D%27{name}%27").json["model_versions"]
    assert versions
    assert {int(version["version"]) for version in versions} == {record["version"] for record in records}
    aliases = {alias["alias"]: int(alias["version"]) for alias in model.get("aliases", [])}
    assert set(aliases) <= {"champion", "challenger"}
    assert aliases.get("champion", "") == records[-1]["champion"]
    assert stack.foundry("ledger", "verify").returncode == 0


def test_the_same_conf_gives_the_same_digests_in_containers_as_in_a_process(stack, trained, sample, tmp_path):
    results = Foundry(tmp_path).train(RUN, sample, agreed=False)
    for stage in ("prices", "features", "labels", "gates", "predict"):
        told = stack.airflow(f"/dags/foundry_train/dagRuns/{RUN}/taskInstances/{stage}/xcomEntries/return_value").json
        shown = told["value"] if isinstance(told["value"], dict) else json.loads(told["value"])
        assert shown["digest"] == results[stage].outputs_digest, stage


# ------------------------------------------------------------------ the report, in a browser
@pytest.fixture(scope="module")
def report_url(trained):
    return f"{REPORTS}/pages/foundry_train/{run_key(RUN)}/report.html"


def test_the_report_is_served_to_who_logs_in(report_url):
    assert request(report_url).status == 401
    answer = request(report_url, headers=basic("foundry", secret("reports_password")))
    assert answer.status == 200
    assert "text/html" in answer.headers["content-type"]


def test_the_report_is_a_page_that_a_browser_shows_without_complaint(report_url, tmp_path):
    address = report_url.replace("http://", f"http://foundry:{secret('reports_password')}@")

    def browse(what):
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--window-size=1280,2400", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", what, address,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

    picture = tmp_path / "report.png"
    seen = browse(f"--screenshot={picture}")
    assert "CONSOLE" not in seen.stderr, seen.stderr
    with Image.open(picture) as shown:
        assert len(shown.convert("RGB").getcolors(1 << 24)) > 50, "a blank picture has one colour"
    assert re.search(r"<table[^>]*>.*AUC.*</table>", browse("--dump-dom").stdout, re.DOTALL), "the gate table"


def test_a_folder_without_the_secrets_of_the_data_that_the_host_keeps_is_refused_and_gets_none(stack, tmp_path):
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    shutil.copytree(REPOSITORY / "images", tmp_path / "images")
    (tmp_path / ".images.env").touch()
    up = ["make", "--no-print-directory", "up", f"COMPOSE={REPOSITORY / '.tools/bin/docker-compose'}"]
    refused = subprocess.run(up, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stdout.startswith(
        "this host keeps the data of a stack whose secrets/ are not here: copy that folder"
    )
    assert not (tmp_path / "secrets").exists()
