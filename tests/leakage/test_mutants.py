"""Mutation tests: every planted fault is detected. A leakage test that cannot fail proves nothing.

Each mutant is a copy of the package with one replaced text; the tests that must kill it run on that copy. They must fail by
an assertion: an import error or another exception does not count as detection.
"""

import ast
import shutil
from multiprocessing.pool import AsyncResult
from pathlib import Path

import pytest

from tests.leakage.mutants import MUTANTS, Mutant
from tests.leakage.trial import FOLDER, PACKAGE, Outcome, forked_processes, plant, run_tests, try_mutant

SIDE_BY_SIDE = 2
PATIENCE_S = 550  # before pytest's own limit ends the whole process


@pytest.fixture(scope="module")
def processes():
    """One process per trial, two in parallel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER.parents[1])
        with forked_processes().Pool(SIDE_BY_SIDE, maxtasksperchild=1) as pool:
            yield pool


@pytest.fixture(scope="module")
def trials(request, processes) -> dict[str, "AsyncResult[Outcome]"]:
    """Mutant's name → its trial, started in advance."""
    asked = [item.callspec.params["mutant"] for item in request.session.items
             if getattr(item, "originalname", "") == test_every_mutant_dies.__name__]  # fmt: skip
    return {mutant.name: processes.apply_async(try_mutant, (mutant,)) for mutant in asked}


@pytest.mark.slow(100)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_every_mutant_dies(mutant, trials):
    outcome = trials[mutant.name].get(PATIENCE_S)
    assert outcome.exit_code == 1, outcome.said
    for killer in mutant.killed_by:
        noticed = [
            by_assertion for test, by_assertion in outcome.failed.items() if killer in {test, test.split("[")[0]}
        ]
        assert noticed, f"{killer} did not notice:\n{outcome.said}"
        assert any(noticed), f"{killer} failed, but by no assertion:\n{outcome.said}"


@pytest.mark.slow(100)
def test_a_copy_without_a_fault_passes(processes, tmp_path):
    """The fault kills the mutants, not the copy."""
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    killers = tuple(sorted({killer for mutant in MUTANTS for killer in mutant.killed_by}))
    outcome = processes.apply_async(run_tests, (killers, str(tmp_path))).get(PATIENCE_S)
    assert outcome.exit_code == 0, outcome.said


def test_every_leakage_test_has_a_mutant_that_it_kills():
    tests = {
        f"{file.name}::{node.name}"
        for file in FOLDER.glob("test_*.py")
        if file.name != Path(__file__).name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    killers = {killer.partition("[")[0] for mutant in MUTANTS for killer in mutant.killed_by}
    assert sorted(tests - killers) == []
    assert sorted(killers - tests) == []


def test_a_mutant_whose_text_is_gone_fails_loudly(tmp_path):
    with pytest.raises(ValueError, match="0 times, not once"):
        plant(Mutant("stale", MUTANTS[0].module, "no such text", "", ()), tmp_path)
