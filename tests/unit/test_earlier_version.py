"""A store of version 0.2.0, whose documents had no types, can be read: nothing is lost or counted twice.

`tests/earlier/store_0.2.0.zip` contains a train run, a decision, a week of daily runs, a backtest and an audit of simulated
markets, without tables and models.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract import documents
from foundry_tasks.contract.results import StageResult
from foundry_tasks.inputs.trial_ledger import TrialLedger
from foundry_tasks.ledger.chain import Ledger
from foundry_tasks.report.summary import render

ZIP = Path(__file__).parents[1] / "earlier" / "store_0.2.0.zip"
TYPES = [
    kind
    for kind in (getattr(documents, name) for name in documents.__all__)
    if isinstance(kind, type) and hasattr(kind, "artifact")
]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> LocalStore:
    folder = tmp_path_factory.mktemp("earlier")
    with zipfile.ZipFile(ZIP) as archive:
        archive.extractall(folder)
    return LocalStore(folder)


@pytest.fixture(scope="module")
def results(store) -> list[StageResult]:
    keys = [key for key in store.keys("runs/") if key.endswith("/result.json")]
    return [StageResult.model_validate_json(store.read(key)) for key in keys]


REPLACED = {("policy", "max_ece")}
"""Thresholds of gates that this version lacks."""


def leaves(value: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of all values in a JSON document but objects."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, *path, key)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from leaves(item, *path, str(number))
    else:
        yield tuple(part for part in path if part != "horizons"), value


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_its_documents_are_read_and_none_of_their_facts_is_lost(store, results, kind):
    read = 0
    for result in results:
        for name, artifact in result.outputs.items():
            if result.stage == kind.stage and Path(name).name == Path(kind.artifact).name:
                content = store.object_path(artifact.sha256).read_bytes()
                now = dict(leaves(kind.model_validate_json(content).model_dump(mode="json")))
                lost = {
                    path: value
                    for path, value in leaves(json.loads(content))
                    if str(now.get(path, "lost")) != str(value) and path not in REPLACED
                }
                assert not lost, f"{result.dag} {name}: {dict(list(lost.items())[:9])}"
                read += 1
    assert read


def test_its_ledger_holds_and_says_who_is_champion(store):
    state = Ledger(store).state("foundry-us-1d")
    assert (len(state.records), state.champion) == (4, 1)


def test_its_trials_are_found_and_not_counted_again(store):
    keys = list(store.keys("trials/us/"))
    ledger = TrialLedger(store)
    found = ledger.read("us")
    assert len(found) == len(keys) == 17
    for trial in found:
        ledger.record("us", trial)
    assert list(store.keys("trials/us/")) == keys


@pytest.mark.parametrize(
    ("dag", "says"), [("foundry_train", "Registered"), ("foundry_daily", "Live"), ("foundry_backtest", "net a year")]
)
def test_its_reports_are_shown(store, dag, says):
    assert says in render(store, dag, None)
