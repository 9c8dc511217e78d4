"""Examples in docstrings run, and the most used functions have one."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import foundry_tasks

PACKAGE = Path(foundry_tasks.__file__).parent
MODULES = sorted(
    ".".join(("foundry_tasks", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text()
)
LEAST_EXAMPLES = 20


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    assert doctest.testmod(import_module(name)).failed == 0


def test_the_most_used_functions_have_examples():
    found = [test for name in MODULES for test in doctest.DocTestFinder().find(import_module(name)) if test.examples]
    assert len(found) >= LEAST_EXAMPLES
