"""Modules that a stage has imported at its end: gates and report need no libraries that fit models, the report no pandas."""

import json
import re
import subprocess
import sys

import pytest

from tests.e2e.foundry_here import AS_OF, TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(4)

NEEDLESS = {"boto3", "great_expectations", "lightgbm", "mlflow", "pandas", "sklearn", "tensorflow", "xgboost"}


@pytest.fixture(scope="module")
def foundry(tmp_path_factory):
    foundry = Foundry(tmp_path_factory.mktemp("foundry"))
    foundry.conf = TINY | write_market(foundry.folder / "market", simulated_market(sessions=330, tickers=12))
    foundry.train("train", foundry.conf, until="leakage")
    return foundry


def loaded_by(foundry, stage):
    """Modules that a stage's process has imported, or tried to import, at its end."""
    command = [sys.executable, "-X", "importtime", "-m", "foundry_tasks", stage, "--run-id", "train"]
    command += ["--as-of", AS_OF.isoformat(), "--config", json.dumps(foundry.conf)]
    settings = foundry.settings
    where = {"FOUNDRY_STORE": settings.store, "FOUNDRY_MLFLOW_URI": settings.mlflow_uri}
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env={"PATH": "", **where})
    return set(re.findall(r"^import time:.*\| +(\S+)$", ended.stderr, re.MULTILINE))


@pytest.mark.parametrize(("stage", "witness"), [("gates", {"mlflow", "pandas"}), ("report", set())])
def test_who_judges_and_who_reports_loads_nothing_that_fits_models(foundry, stage, witness):
    """MLflow, which loads pandas, witnesses the look."""
    loaded = loaded_by(foundry, stage)
    assert {"numpy", "pyarrow"} <= loaded
    assert NEEDLESS & loaded == witness


def test_who_fits_a_booster_loads_no_sklearn_with_it(foundry):
    foundry.conf["models"] = ["lightgbm", "xgboost"]
    loaded = loaded_by(foundry, "models")
    assert {"lightgbm.basic", "xgboost.core"} <= loaded
    assert "sklearn.base" not in loaded
