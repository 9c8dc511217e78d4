"""Stopping the stack also stops its stages. Docker and Compose are scripts that record their arguments."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPT = """#!/bin/bash
sed -E 's/--env-file [^ ]+ //g' <<<"{name} $*" >>'{log}'
{answer}
"""
LISTED = "docker ps --all --quiet --filter label=foundry.managed=true"


@pytest.fixture
def asked(tmp_path):
    """asked(command, …, stages=…): a command's calls of Docker and Compose. stages: IDs of stages' containers."""
    log = tmp_path / "log"

    def asked(*command: str, stages: str = "aaa bbb", said: str = "", **variables: str) -> list[str]:
        log.write_text("")
        for name, answer in (("compose", ""), ("docker", f'test "$1" != ps || echo {stages}')):
            (tmp_path / name).write_text(SCRIPT.format(name=name, log=log, answer=answer))
            (tmp_path / name).chmod(0o755)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=inherited | {"PATH": path} | variables,
            input=said,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return log.read_text().splitlines()

    return asked


def make(*arguments: str) -> tuple[str, ...]:
    return (
        "make",
        "--silent",
        "-o",
        ".images.env",
        *arguments,
        "COMPOSE=compose",
        "-o",
        "compose",
        "DOCKER_SOCKET=/dev/null",
    )


def test_down_ends_the_scheduler_then_the_stages_then_what_they_write_to(asked):
    assert asked(*make("down")) == [
        "compose stop --timeout 60 scheduler",
        LISTED,
        "docker stop -t 30 aaa bbb",
        LISTED,
        "docker rm --force --volumes aaa bbb",
        "compose down --timeout 60",
    ]


def test_down_without_a_stage_at_work_asks_for_none_to_be_stopped(asked):
    calls = asked(*make("down"), stages="")
    assert [call for call in calls if call != LISTED] == [
        "compose stop --timeout 60 scheduler",
        "compose down --timeout 60",
    ]


def test_destroy_removes_the_stages_before_the_volumes_that_they_mount(asked):
    calls = asked(*make("destroy"), said="destroy\n")
    removed = calls.index("docker rm --force --volumes aaa bbb")
    assert calls[0] == "compose down --timeout 60"
    assert removed < calls.index("compose down --volumes")


def test_restore_removes_the_stages_before_it_replaces_the_store(asked, tmp_path):
    checkout, backup = tmp_path / "checkout", tmp_path / "backup"
    for folder in (checkout / "images", backup):
        folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "images" / "backup", checkout / "images")
    (checkout / ".images.env").touch()
    for name in ("airflow.dump", "mlflow.dump", "store.tar.gz"):
        (backup / name).write_text("x")
    calls = asked(str(checkout / "images" / "backup"), "restore", str(backup), STACK="compose")
    [replaced] = [number for number, call in enumerate(calls) if call.startswith("docker run ")]
    assert calls[0].startswith("compose stop --timeout 60 api-server scheduler ")
    assert calls.index("docker rm --force --volumes aaa bbb") < replaced
