"""A price source is one file: a copy of the package gets one, and its stage `prices` publishes the prices of it."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from foundry_tasks.contract.artifacts import result_key
from tests.package_copy import copy_package, python_in
from tests.unit.data.sine import TICKERS, closes

FILE = Path(__file__).with_name("sine.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(FILE, copy_package(folder) / "data" / "sources")
    return folder


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("source", "'sample', 'parquet', 'sine', 'yfinance' or 'tiingo'"),
        ("cross_check", "'yfinance' or 'tiingo'"),
    ],
)
def test_a_conf_lists_it_where_another_is_refused_and_no_static_source_checks_another(folder, key, known):
    refused = python_in(folder, "-m", "foundry_tasks", "conf", "--set", f"{key}=bloomberg")
    assert refused.returncode == 10
    assert f"{key}='bloomberg': Input should be {known}" in refused.stdout


def test_a_file_in_the_folder_of_live_sources_may_check_another(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    shutil.copy(FILE, tmp_path / "foundry_tasks" / "data" / "sources" / "live" / "asked.py")
    taken = python_in(tmp_path, "-m", "foundry_tasks", "conf", "--set", "source=sine", "--set", "cross_check=asked")
    assert json.loads(taken.stdout) == {"source": "sine", "cross_check": "asked"}


@pytest.mark.slow(5)
def test_the_prices_of_a_run_are_its_own(folder):
    run = ("--run-id", "r", "--as-of", "2021-12-31", "--set", "source=sine")
    ended = python_in(folder, "-m", "foundry_tasks", "prices", *run)
    assert ended.returncode == 0, ended.stdout
    store = folder / ".foundry" / "store"
    result = json.loads((store / result_key("foundry_train", "r", "prices", None)).read_text())
    table = pd.read_parquet(store / "objects" / result["outputs"]["prices.parquet"]["sha256"])
    wide = table.pivot_table(index="date", columns="ticker", values="close")
    assert tuple(wide.columns) == TICKERS
    for phase, ticker in enumerate(TICKERS):
        assert wide[ticker].to_numpy() == pytest.approx(closes(len(wide), phase))
