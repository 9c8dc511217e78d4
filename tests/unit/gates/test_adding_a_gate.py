"""A gate is one file: with one more file, a copy of the package evaluates the gate, uses its verdict and reports it."""

import json
import shutil
from pathlib import Path

import pytest

from tests.package_copy import REPOSITORY, copy_package, python_in

pytestmark = pytest.mark.slow(5)

NEW_GATE = '''
"""certainty: the largest distance of P(up) from one half."""

from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle, writer

MOST = 0.4


def judge(case: Case) -> Answer:
    """Nobody knows the sign of a return with certainty."""
    import numpy as np

    farthest = float(np.nanmax(np.abs(case.evidence.p_up - 0.5)))
    return Answer(value=farthest, verdict="passed" if farthest <= MOST else "failed", note="over all sessions")


GATE = GateDefinition(
    name="certainty",
    order=45,
    question="Does P(up) stay away from certainty?",
    threshold=lambda _: f"at most {MOST:.0%} from one half",
    judge=judge,
    style=GateStyle(
        "Distance from one half", writer(".1f", 100, " pp"), marks=lambda _: (MOST,), good=lambda _: (0.0, MOST)
    ),
)
'''

JUDGE = """
import json
from dataclasses import replace
import numpy as np
from forecaster import evidence
from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.gates.verdict import evaluate_gates

honest, policy = evidence(), GatePolicy(resamples=200)
certain = np.where(np.arange(honest.p_up.size).reshape(honest.p_up.shape) == 0, 0.99, honest.p_up)
for case in (honest, replace(honest, p_up=certain)):
    report = evaluate_gates(case, policy, seed=0)
    print(json.dumps([report.verdict, report.failed, [gate.name for gate in report.gates]]))
"""

REPORT = """
import json
from pathlib import Path
from made_up_market import Market, Run, publish_train_run
from foundry_tasks.report.summary import render

run = Run(Path("run"), "foundry_train", "first")
publish_train_run(run, Market(), until="gates")
run.report()
print(json.dumps([run.page("report.html"), run.page("report.md"), render(run.store, run.dag, run.run_id)]))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The package with one more file, and the test helpers that make evidence and runs."""
    folder = tmp_path_factory.mktemp("copy")
    package = copy_package(folder)
    (package / "gates" / "catalogue" / "certainty.py").write_text(NEW_GATE)
    tests = REPOSITORY / "tests" / "unit"
    shutil.copy(tests / "gates" / "forecaster.py", folder)
    shutil.copy(tests / "report" / "conftest.py", folder / "made_up_market.py")
    return folder


def printed(copy: Path, program: str) -> list[list]:
    """Output of a program in the copy, one JSON text per line."""
    ended = python_in(copy, "-c", program)
    assert ended.returncode == 0, ended.stdout
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_a_gate_that_is_one_new_file_is_asked_and_passes_or_refuses_a_model(copy):
    passed, refused = printed(copy, JUDGE)
    assert passed[:2] == ["passed", []]
    assert refused[:2] == ["refused", ["certainty"]]
    assert passed[2][5:8] == ["calibration", "certainty", "spread"]


def test_a_gate_that_is_one_new_file_stands_in_every_form_of_the_report(copy):
    ((page, markdown, terminal),) = printed(copy, REPORT)
    for text in (page, markdown):
        assert "Distance from one half" in text
        assert "at most 40% from one half" in text
    assert "Does P(up) stay away from certainty?" in page
    assert "Distance from one half: value and interval against the threshold" in page, "its bar"
    (row, *_) = [line for line in terminal.splitlines() if line.startswith("  certainty")]
    assert row.split()[2:3] == ["pp"]
    assert row.endswith("passed")
    assert "at most 40% from one half" in row
