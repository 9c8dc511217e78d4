"""A mutant's trial: leakage tests in a separate process, on a copy of the package with the fault.

The process is forked from one that has imported all other packages, so a trial costs little more than its tests. This module
is imported before the copy exists, so it must not import the package.
"""

import io
import multiprocessing as mp
import os
import shutil
import sys
from contextlib import redirect_stdout
from ctypes.util import find_library
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.leakage.mutants import Mutant

FOLDER = Path(__file__).parent
PACKAGE = FOLDER.parents[1] / "foundry_tasks"
PRELOADED = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
_LIBRARIES = ("bottleneck", "hypothesis.extra._patching", "hypothesis.strategies", "lightgbm", "numpy", "pandas",
              "pyarrow.parquet", "pydantic", "pytest", "scipy.linalg", "sklearn.isotonic", "threadpoolctl",
              "xgboost")  # fmt: skip
"""Imports of the tests and the package, and those of hypothesis for a failing test."""


@dataclass
class Outcome:
    """exit_code: pytest's. failed: test → whether an assertion failed (not the code under test). said: pytest's report."""

    exit_code: int = -1
    failed: dict[str, bool] = field(default_factory=dict)
    said: str = ""

    @pytest.hookimpl
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Called by pytest after each step of a test."""
        if call.when == "call" and call.excinfo is not None:
            noticed = isinstance(call.excinfo.value, AssertionError | pytest.fail.Exception)
            self.failed[f"{item.path.name}::{item.name}"] = noticed


def forked_processes() -> ForkServerContext:
    """Forks the trials' processes. Without a system OpenMP library, each trial loads LightGBM through the package.

    The system is asked, since this process may have loaded a copy of that library.
    """
    context = mp.get_context("forkserver")
    left_out = {"lightgbm"} if find_library("gomp") is None else set()
    context.set_forkserver_preload([name for name in _LIBRARIES if name not in left_out])
    return context


def try_mutant(mutant: Mutant) -> Outcome:
    """Plant the fault in a copy and run the tests that must detect it. Once per process."""
    with TemporaryDirectory() as folder:
        plant(mutant, Path(folder))
        return run_tests(mutant.killed_by, folder)


def plant(mutant: Mutant, folder: Path) -> None:
    """Copy the package with the fault to `folder`. Raises ValueError unless the text occurs exactly once."""
    source = (PACKAGE / mutant.module).read_text()
    if (times := source.count(mutant.text)) != 1:
        raise ValueError(
            f"{mutant.module} holds {mutant.text!r} {times} times, not once. Bring the mutant {mutant.name!r} up to date."
        )
    shutil.copytree(PACKAGE, folder / PACKAGE.name)
    (folder / PACKAGE.name / mutant.module).write_text(source.replace(mutant.text, mutant.replacement))


def run_tests(tests: tuple[str, ...], root: str) -> Outcome:
    """Run tests of this folder with the package in `root`. Once per process."""
    from hypothesis import HealthCheck, Phase, settings  # noqa: PLC0415 - the parent needs none

    os.chdir(root)
    sys.path.insert(0, root)
    settings.register_profile(
        "trial", deadline=None, derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    settings.load_profile("trial")
    outcome = Outcome()
    options = ["-q", "--no-header", "--tb=short", "--noconftest", "-W", PRELOADED]
    options += ["-p", "no:cacheprovider", "-p", "no:unraisableexception"]
    with redirect_stdout(io.StringIO()) as said:
        outcome.exit_code = int(pytest.main([*options, *(str(FOLDER / test) for test in tests)], plugins=[outcome]))
    outcome.said = said.getvalue()
    package = sys.modules[PACKAGE.name].__file__ or ""
    if not package.startswith(root):
        raise RuntimeError(f"the tests ran on {package}, which is not the copy in {root}")
    os.chdir(FOLDER)
    return outcome
