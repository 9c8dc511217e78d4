"""The Makefile in a fresh clone."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from foundry_tasks.contract.environment_variables import REPOSITORY

MADE_BY = {
    ".tools/bin/docker-compose": "debian-binary docker-compose",
    ".tools/bin/docker-buildx": "debian-binary docker-buildx",
    ".tools/bin/helm": "helm",
    ".tools/python/bin/uv": "-m pip install",
    ".venv/bin/": "uv venv",
}
"""Program of the project → part of the command that installs it."""


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["make", "--no-print-directory", f"PYTHON={sys.executable}", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, folder)
    for name in ("images", "requirements", "helm"):
        shutil.copytree(REPOSITORY / name, folder / name)
    (folder / ".tools").mkdir()
    (folder / ".images.env").touch()
    return folder


def targets() -> list[str]:
    """All commands for people."""
    database = make(REPOSITORY, "-pnq", "help").stdout
    return sorted(set(re.search(r"^\.PHONY: (.*)$", database, re.MULTILINE)[1].split()) - {"help"})


def test_no_target_or_prerequisite_uses_a_variable_that_is_defined_further_down(clone):
    read = make(clone, "--dry-run", "--warn-undefined-variables", "help")
    assert read.returncode == 0
    assert "undefined variable" not in read.stderr


@pytest.mark.parametrize("target", targets())
def test_what_a_target_runs_is_made_first(clone, target):
    planned = make(clone, "--dry-run", target)
    assert planned.returncode == 0, planned.stderr
    commands = planned.stdout
    for program, making in MADE_BY.items():
        used = re.search(rf"(^|[\s;@'\"]){re.escape(program)}", commands, re.MULTILINE)
        if used:
            assert making in commands, f"`make {target}` uses {program}, which nothing makes"
            first_line_of_use = commands.count("\n", 0, used.start(0))
            assert commands.count("\n", 0, commands.index(making)) <= first_line_of_use + 1


def test_a_person_without_images_is_told_how_to_build_them(clone, tmp_path):
    folder = tmp_path / "clone"
    shutil.copytree(clone, folder)
    (folder / ".images.env").unlink()
    (folder / ".tools" / "bin").mkdir()
    (folder / ".tools" / "bin" / "docker-compose").touch()
    refused = make(folder, "up")
    assert refused.returncode == 2
    assert refused.stdout.startswith("no images yet: `make images` builds them")
