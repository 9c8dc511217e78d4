"""The gates in the registry: one per file, each with a unique name, order and question."""

import pkgutil
from dataclasses import replace

import pytest

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.gates import catalogue
from foundry_tasks.gates.registry import GATES, in_order

each = pytest.mark.parametrize("gate", GATES.values(), ids=GATES)


def test_every_file_of_the_catalogue_defines_the_gate_that_it_is_named_after():
    assert {module.name for module in pkgutil.iter_modules(catalogue.__path__)} == set(GATES)


def test_the_gates_stand_in_this_order():
    assert list(GATES) == [
        "auc", "tradable", "earns", "wfe", "brier", "calibration", "spread", "collapse", "sign_balance", "coverage", "leakage",
        "champion",
    ]  # fmt: skip


def test_no_two_gates_share_a_label():
    assert len({gate.style.label for gate in GATES.values()}) == len(GATES)


@each
def test_a_gate_asks_one_question(gate):
    assert gate.question.endswith("?")
    assert gate.question.count("?") == 1


@each
def test_a_gate_says_its_threshold(gate):
    assert gate.threshold(GatePolicy()).strip()


@each
def test_the_range_that_passes_lies_between_the_marks_of_its_bar_and_infinity(gate):
    if gate.style.good is not None:
        low, high = gate.style.good(GatePolicy())
        assert low < high
        assert {low, high} & set(gate.style.marks(GatePolicy()))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"order": 999}, "two gates are named 'auc'"), ({"name": "other"}, "'auc' and 'other' have order 10")],
)
def test_two_gates_of_one_name_or_order_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        in_order([GATES["auc"], replace(GATES["auc"], **change)])
