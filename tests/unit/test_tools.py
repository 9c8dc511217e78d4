"""The Makefile's rules for tests: parallel runs, and tools that are compiled once per machine."""

import shutil
import subprocess

import pytest

from foundry_tasks.contract.environment_variables import REPOSITORY

TOOLS = {"helm": "helm/version", "versitygw": "images/s3/version"}


PROGRAMS = ("cat", "cp", "git", "make", "mkdir", "mv", "python3", "touch")


@pytest.fixture
def make(tmp_path):
    """make(folder, …): run `make` there with PROGRAMS only on the path, so without Go."""
    path = tmp_path / "bin"
    path.mkdir()
    for name in PROGRAMS:
        (path / name).symlink_to(shutil.which(name))

    def run(folder, *arguments, **variables):
        command = [str(path / "make"), "--no-print-directory", *arguments]
        environment = {"PATH": str(path), **variables}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def clone(tmp_path):
    """The parts of a clone that the rules of the tools read."""
    folder = tmp_path / "clone"
    for name in ("Makefile", "images/images.mk", *TOOLS.values()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_that_another_clone_has_compiled_is_copied(make, clone, tmp_path, tool):
    version = (REPOSITORY / TOOLS[tool]).read_text().strip()
    kept = tmp_path / "a cache" / "foundry" / f"{tool}-{version}"
    kept.parent.mkdir(parents=True)
    kept.write_text("the program")
    kept.chmod(0o755)
    done = make(clone, f".tools/bin/{tool}", XDG_CACHE_HOME=str(tmp_path / "a cache"))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    copy = clone / ".tools" / "bin" / tool
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == ("the program", 0o755)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_that_cannot_be_compiled_says_what_to_install(make, clone, tmp_path, tool):
    done = make(clone, f".tools/bin/{tool}", HOME=str(tmp_path))
    assert done.returncode != 0
    assert done.stdout == f"{tool} is compiled: install Go 1.26 or later\n"
    assert not (clone / ".tools" / "bin" / tool).exists()


@pytest.mark.parametrize("target", ["test", "test-fast"])
def test_modules_of_tests_run_side_by_side_and_in_the_order_of_conftest(make, target):
    commands = make(REPOSITORY, "--dry-run", target).stdout
    (pytest_command,) = [line for line in commands.splitlines() if line.startswith(".venv/bin/pytest")]
    assert "--numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder" in pytest_command


def test_no_module_with_a_slow_test_is_before_one_without(request):
    slow = {item.path for item in request.session.items if item.get_closest_marker("slow")}
    order = list(dict.fromkeys(item.path in slow for item in request.session.items))
    assert order == sorted(order)
