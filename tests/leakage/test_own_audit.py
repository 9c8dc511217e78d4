"""The audit of a run, through its stages: a clean run has no finding, and a fault of what is fitted or published has one."""

import json

import pytest

from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(7)

HORIZON = 5
CONF = TINY | {"horizons": [HORIZON], "folds": 3, "feature_set": "extended"}


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    """leakage.json of a small run of real stages."""
    folder = tmp_path_factory.mktemp("run")
    foundry = Foundry(folder)
    market = write_market(folder, simulated_market(sessions=420, tickers=12, seed=5, signal=0.4))
    return json.loads(
        foundry.document(foundry.train("train", CONF | market, until="leakage")["leakage"], "leakage.json")
    )


def test_a_run_without_a_fault_has_no_finding(audit):
    assert audit["leaks"] == []
