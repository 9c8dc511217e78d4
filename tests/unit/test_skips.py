"""Allowed skips in a run of the tests."""

import os
import subprocess
import sys

from foundry_tasks.contract.environment_variables import REPOSITORY

TESTS = """
import pytest
def test_allowed(): pytest.skip("no helm: install Go")
def test_another(): pytest.skip("not today, and no helm")
"""


def test_where_no_skip_is_allowed_one_whose_reason_begins_as_a_named_one_still_is(tmp_path):
    (tmp_path / "test_skipping.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "tests.conftest", "--rootdir", tmp_path, tmp_path]
    told = {"PYTHONPATH": str(REPOSITORY), "TESTS_NO_SKIPS": "1", "TESTS_MAY_SKIP": "no versitygw,no helm"}
    said = subprocess.run(
        command, env=os.environ | told, cwd=tmp_path, capture_output=True, text=True, check=False
    ).stdout
    assert "1 failed, 1 skipped" in said, said
    assert "FAILED test_skipping.py::test_another - skipped, which is not allowed here" in said, said
