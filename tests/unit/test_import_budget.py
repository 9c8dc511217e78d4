"""Modules that a stage imports before it begins. Modules, not seconds, so that a new heavy import is found."""

import json
import subprocess
import sys

import pytest

from foundry_tasks.contract.stages import STAGES

HEAVY = {
    "airflow", "boto3", "bottleneck", "exchange_calendars", "great_expectations", "jax", "jinja2", "keras", "lightgbm",
    "mlflow", "numpy", "pandas", "pyarrow", "requests", "scipy", "skfolio", "sklearn", "sqlalchemy", "tensorflow",
    "tiingo", "xgboost", "yfinance",
}  # fmt: skip
MATRICES = {"numpy", "pyarrow"}
STARTS_WITH = {
    "prices": set(),
    "promote": set(),
    "decide": set(),
    "audit": {"numpy", "bottleneck"},
    "predict": MATRICES,
}
"""The other stages read panels and import features, which use Bottleneck."""

PROBE = """
import importlib, json, os, sys
from foundry_tasks import __main__
from foundry_tasks.cli.wiring import run_context
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.stages import STAGES
run_context(Settings(store=sys.argv[1]))
for stage in STAGES:
    if not os.fork():
        importlib.import_module(f"foundry_tasks.stages.{stage}")
        print(json.dumps([stage, sorted({name.partition(".")[0] for name in sys.modules})]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Stage → top-level modules that are imported when its `run` is called."""
    command = [sys.executable, "-c", PROBE, str(tmp_path_factory.mktemp("store"))]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(line) for line in printed.splitlines())


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_starts_with_what_it_needs_and_nothing_else(loaded, stage):
    assert HEAVY & set(loaded[stage]) <= STARTS_WITH.get(stage, MATRICES | {"bottleneck"})


def test_the_summary_of_a_report_is_printed_without_numpy():
    probe = "import sys, foundry_tasks.report.summary; print(*{name.partition('.')[0] for name in sys.modules})"
    printed = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True).stdout
    assert not HEAVY & set(printed.split())
