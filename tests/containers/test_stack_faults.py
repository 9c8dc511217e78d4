"""Faults on the real stack: the run completes or fails with a clear line, a rerun completes, and nothing remains.

After every fault the tests check: all services are healthy, the ledger agrees with the registry's aliases, the store is
intact, and no container of a stage remains.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.containers.stack import AT_WORK, NEW, SMALL

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]


def slow():
    """The same conf with 15 s of work in the models stage, which cannot reuse earlier results."""
    return SMALL | {"models": ["lightgbm"], "seeds": 150, "seed": secrets.randbelow(1 << 30)}


@pytest.fixture(autouse=True)
def sound(stack):
    """Assert the state that is required after every fault."""
    yield
    stack.healthy("postgres", "s3", "mlflow", "api-server", "scheduler", "docker-proxy")
    verified = stack.foundry("ledger", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    whole = stack.foundry("verify")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert "damaged=0 gone=0" in whole.stderr, "nothing half written can be read"
    assert stack.stage_containers() == []


def running_container(stack, run, stage):
    """The running container of a stage."""

    def look():
        return [
            one
            for one in stack.stage_containers(run)
            if one.labels["foundry.stage"] == stage and one.status == "running"
        ]

    return stack.until(look, bool, timeout_s=300)[0]


def kill(stack, service):
    """Send SIGKILL to a service's first process. Its restart policy restarts it."""
    before = stack.service(service).attrs["State"]["StartedAt"]
    os.kill(stack.service(service).attrs["State"]["Pid"], signal.SIGKILL)
    stack.until(lambda: stack.service(service).attrs["State"]["StartedAt"], lambda at: at != before, timeout_s=120)


def tries(stack, run, task):
    return next(one["try_number"] for one in stack.tasks("foundry_train", run) if one["task_id"] == task)


def whole_log(stack, run, task):
    index = next(one["map_index"] for one in stack.tasks("foundry_train", run) if one["task_id"] == task)
    return "\n".join(
        stack.log("foundry_train", run, task, attempt, index) for attempt in range(1, tries(stack, run, task) + 1)
    )


def test_a_stage_that_is_killed_is_tried_again_and_the_run_completes(stack):
    stack.trigger("foundry_train", slow(), f"stage-killed-{NEW}")
    running_container(stack, f"stage-killed-{NEW}", "models").kill()
    assert stack.wait("foundry_train", f"stage-killed-{NEW}") == "success"
    assert tries(stack, f"stage-killed-{NEW}", "models") == 2
    assert "exit 137, will be tried again" in whole_log(stack, f"stage-killed-{NEW}", "models")


def test_a_killed_schedulers_stage_goes_on_and_is_adopted(stack):
    stack.trigger("foundry_train", slow(), f"scheduler-killed-{NEW}")
    container = running_container(stack, f"scheduler-killed-{NEW}", "models")
    kill(stack, "scheduler")
    assert container.id in {one.id for one in stack.stage_containers(f"scheduler-killed-{NEW}")}, (
        "the stage itself goes on"
    )
    assert stack.wait("foundry_train", f"scheduler-killed-{NEW}") == "success"
    assert f"adopted container {container.id[:12]}" in whole_log(stack, f"scheduler-killed-{NEW}", "models")


def test_a_killed_workers_stage_is_adopted_by_the_retry(stack):
    stack.trigger("foundry_train", slow(), f"worker-killed-{NEW}")
    container = running_container(stack, f"worker-killed-{NEW}", "models")
    workers = [
        int(process[1]) for process in stack.service("scheduler").top()["Processes"] if AT_WORK.search(process[-1])
    ]
    assert workers, stack.service("scheduler").top()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    assert stack.wait("foundry_train", f"worker-killed-{NEW}") == "success"
    assert f"adopted container {container.id[:12]}" in whole_log(stack, f"worker-killed-{NEW}", "models")


def test_a_cancelled_tasks_container_is_stopped(stack):
    stack.trigger("foundry_train", slow(), f"cancelled-{NEW}")
    running_container(stack, f"cancelled-{NEW}", "models")
    answer = stack.airflow(f"/dags/foundry_train/dagRuns/cancelled-{NEW}", method="PATCH", body={"state": "failed"})
    assert answer.status == 200
    stack.until(lambda: stack.stage_containers(f"cancelled-{NEW}"), lambda found: not found, timeout_s=120)


def test_postgres_restarted_in_the_middle_of_a_run(stack):
    stack.trigger("foundry_train", slow(), f"postgres-restarted-{NEW}")
    running_container(stack, f"postgres-restarted-{NEW}", "models")
    stack.service("postgres").restart()
    assert stack.wait("foundry_train", f"postgres-restarted-{NEW}") == "success"


def test_a_store_that_is_gone_for_a_minute(stack):
    stack.trigger("foundry_train", slow(), f"store-gone-{NEW}")
    running_container(stack, f"store-gone-{NEW}", "models")
    stack.service("s3").stop()
    time.sleep(60)
    stack.service("s3").start()
    assert stack.wait("foundry_train", f"store-gone-{NEW}") == "success"


@contextlib.contextmanager
def crowded_disk(stack, room_kb):
    """Put the store on a file system with this free space. On exit its files are copied back to its volume."""
    (mount,) = [one for one in stack.service("s3").attrs["Mounts"] if one["Destination"] == "/data"]
    volume = Path(mount["Source"])
    stack.service("s3").stop()
    shell("mount", "-t", "tmpfs", "-o", "size=4g", "tmpfs", str(volume))
    with tempfile.TemporaryDirectory() as folder:
        below = Path(folder) / "below"
        below.mkdir()
        shell("mount", "--bind", str(volume.parent), str(below))
        try:
            shell("cp", "--archive", f"{below / volume.name}/.", str(volume))
            full_kb = shutil.disk_usage(volume).used // 2**10 + room_kb
            shell("mount", "-o", f"remount,size={full_kb}k", str(volume))
            stack.service("s3").start()
            yield lambda: shell("mount", "-o", "remount,size=4g", str(volume))
        finally:
            stack.service("s3").stop()
            shell("cp", "--archive", f"{volume}/.", str(below / volume.name))
            shell("umount", str(volume))
            shell("umount", str(below))
            stack.service("s3").start()


def shell(*command):
    subprocess.run(command, check=True, capture_output=True, text=True)


def test_a_store_whose_disk_is_full_takes_no_half_of_anything_and_goes_on_once_there_is_room(stack):
    run = f"disk-full-{NEW}"
    with crowded_disk(stack, room_kb=64) as make_room:
        stack.trigger("foundry_train", SMALL | {"feature_set": "extended", "seed": secrets.randbelow(1 << 30)}, run)
        failing = stack.until(
            lambda: [one for one in stack.tasks("foundry_train", run) if one["state"] == "up_for_retry"],
            bool,
            timeout_s=300,
        )[0]
        log = stack.log("foundry_train", run, failing["task_id"], map_index=failing["map_index"])
        assert "will be tried again: foundry: the store is full, writing s3://" in log
        make_room()
        assert stack.wait("foundry_train", run) == "success"


def test_mlflow_gone_when_a_version_is_to_be_promoted(stack):
    stack.trigger("foundry_train", SMALL, f"mlflow-gone-{NEW}")
    stack.wait_for_task("foundry_train", f"mlflow-gone-{NEW}", "leakage", {"running", "success"})
    stack.service("mlflow").stop()
    waiting = stack.wait_for_task("foundry_train", f"mlflow-gone-{NEW}", "gates", {"up_for_retry", "success"})
    time.sleep(20)
    stack.service("mlflow").start()
    assert stack.wait("foundry_train", f"mlflow-gone-{NEW}") == "success", waiting


def test_the_same_run_triggered_twice_at_once_is_one_run(stack):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(stack.trigger("foundry_train", SMALL, f"twice-{NEW}").status))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409]
    assert stack.wait("foundry_train", f"twice-{NEW}") == "success"


def test_two_promotions_at_once_are_one_version(stack):
    run, model = f"twice-{NEW}", "foundry-us-1d"
    before = stack.foundry("ledger", "show", model).stdout
    promote = ("promote", "--run-id", run, "--config", json.dumps(SMALL))
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: stack.foundry(*promote), range(2)))
    assert {one.returncode for one in ended} <= {0, 30}, [one.stderr for one in ended]
    assert 0 in {one.returncode for one in ended}
    assert stack.foundry("ledger", "show", model).stdout == before, "the version is known, so nothing is appended"


def test_a_bad_conf_is_refused_before_anything_starts(stack):
    answer = stack.trigger("foundry_train", {"folds": "many"}, f"bad-conf-{NEW}")
    assert answer.status in {400, 422}, answer.body
    assert b"folds" in answer.body
    assert stack.stage_containers(f"bad-conf-{NEW}") == []
