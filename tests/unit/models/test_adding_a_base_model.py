"""A base model is one file: a copy of the package gets one, and trains, registers and predicts with it."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from foundry_tasks.contract.artifacts import result_key
from tests.e2e.foundry_here import AS_OF, TINY, write_market
from tests.leakage.markets import simulated_market
from tests.package_copy import copy_package, python_in

FILE = Path(__file__).with_name("mean_rank.py")
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""A run is a process a stage: each would compile the package anew."""
RUN = ("--run-id", "r", "--as-of", AS_OF.isoformat())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(FILE, copy_package(folder) / "models" / "base")
    return folder


def test_a_conf_takes_its_name_and_lists_it_where_another_is_refused(folder):
    taken = python_in(folder, "-m", "foundry_tasks", "conf", "--set", "models=mean_rank")
    assert json.loads(taken.stdout) == {"models": ["mean_rank"]}
    refused = python_in(folder, "-m", "foundry_tasks", "conf", "--set", "models=prophet")
    assert refused.returncode == 10
    known = "'logistic', 'lightgbm', 'xgboost', 'mean_rank', 'lstm_transformer' or 'xlstm_ts'"
    assert f"models.0='prophet': Input should be {known}" in refused.stdout


def test_the_form_offers_it(folder):
    printed = "from foundry_tasks.contract.form import form; print(*form('foundry_train')['models']['examples'])"
    assert python_in(folder, "-c", printed).stdout.split() == [
        "logistic", "lightgbm", "xgboost", "mean_rank", "lstm_transformer", "xlstm_ts",
    ]  # fmt: skip


def test_a_file_that_gives_its_model_another_name_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    base = tmp_path / "foundry_tasks" / "models" / "base"
    (base / "mean_rank.py").rename(base / "ranks.py")
    ended = python_in(tmp_path, "-c", "import foundry_tasks.models.base_models")
    assert "ranks.py is named 'mean_rank'. Give both one name." in ended.stdout


@pytest.mark.slow(20)
def test_a_run_fits_saves_bundles_and_reads_it_back(folder):
    market = write_market(folder / "market", simulated_market(sessions=330, tickers=12))
    conf = json.dumps(TINY | market | {"models": ["logistic", "mean_rank"]})
    ended = python_in(folder, "-m", "foundry_tasks", "run", "train", *RUN, "--config", conf, **COMPILED)
    assert ended.returncode == 0, ended.stdout
    store = folder / ".foundry" / "store"

    def artifact(stage, name):
        result = json.loads((store / result_key("foundry_train", "r", stage, None)).read_text())
        return store / "objects" / result["outputs"][name]["sha256"]

    saved = json.loads(artifact("models", "fit/1d/mean_rank.json").read_bytes())
    assert [member["kind"] for member in saved["members"]] == ["mean_rank"]
    assert json.loads(artifact("refit", "refit.json").read_bytes())["horizons"]["1"]["models"] == [
        "logistic",
        "mean_rank",
    ]
    assert len(pq.read_table(artifact("predict", "predictions.parquet"))) == 12
