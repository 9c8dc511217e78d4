"""Maintenance of a stack: backup, restore, and what pruning keeps."""

import subprocess

import pytest

from foundry_tasks.contract.artifacts import run_key
from tests.containers.stack import NEW, REPORTS, REPOSITORY, SMALL, Stack, basic, make, request, secret

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
MODEL = "foundry-us-1d"


def a_run(stack):
    """A successful run: an existing one, else a new one."""
    found = stack.airflow("/dags/foundry_train/dagRuns?state=success&limit=1").json["dag_runs"]
    if found:
        return found[0]["dag_run_id"]
    stack.trigger("foundry_train", SMALL, f"kept-{NEW}")
    assert stack.wait("foundry_train", f"kept-{NEW}") == "success"
    return f"kept-{NEW}"


def seen(stack):
    """Contents of the ledger and the registry."""
    versions = stack.mlflow(f"model-versions/search?filter=name%3D%27{MODEL}%27").json["model_versions"]
    return stack.foundry("ledger", "show", MODEL).stdout, sorted(int(version["version"]) for version in versions)


def test_what_was_saved_comes_back_and_what_came_later_is_gone(stack, tmp_path):
    kept, lost = a_run(stack), f"lost-{NEW}"
    before = seen(stack)
    make("backup", f"TO={tmp_path / 'backup'}")
    assert stack.service("s3").status == "running"

    stack.trigger("foundry_train", SMALL | {"seed": 8, "models": ["lightgbm"]}, lost)
    assert stack.wait("foundry_train", lost) == "success"
    assert seen(stack) != before

    make("restore", f"FROM={tmp_path / 'backup'}")
    restored = Stack()
    assert seen(restored) == before
    assert restored.foundry("ledger", "verify").returncode == 0
    assert restored.state("foundry_train", kept) == "success"
    assert restored.airflow(f"/dags/foundry_train/dagRuns/{lost}").status == 404
    page = f"{REPORTS}/pages/foundry_train/{run_key(kept)}/report.html"
    assert request(page, headers=basic("foundry", secret("reports_password"))).status == 200


def test_pruning_touches_nothing_young_and_the_store_is_whole_afterwards(stack):
    before = seen(stack)
    assert "deleted: documents=0 objects=0" in make("prune")
    assert "damaged=0 gone=0" in make("foundry", "ARGS=verify")
    assert seen(stack) == before
    assert "the ledger verifies" in make("foundry", "ARGS=ledger verify")


def test_a_folder_without_a_backup_is_refused_before_anything_stops(stack, tmp_path):
    done = subprocess.run(
        ["make", "restore", f"FROM={tmp_path}"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert f"no backup in {tmp_path}: airflow.dump is missing" in done.stdout
    assert stack.service("scheduler").status == "running"
