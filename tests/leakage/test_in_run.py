"""The run's own audit: it finds nothing in a healthy run, and each of the faults that `mutants.py` plants in the stages."""

import pytest

from tests.leakage.in_run import audited_run

pytestmark = pytest.mark.slow(20)


@pytest.fixture(scope="module")
def leaks(tmp_path_factory):
    return audited_run(tmp_path_factory.mktemp("run")).leaks


@pytest.mark.parametrize("of", ["prices: ", "feature ", "label "])
def test_the_runs_own_audit_finds_no_leak(of, leaks):
    assert [leak for leak in leaks if of in leak] == []
