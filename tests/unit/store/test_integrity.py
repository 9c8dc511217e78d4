"""Incomplete files are found anywhere in the store."""

import json
from datetime import date

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract import artifacts
from foundry_tasks.contract.results import Artifact, StageResult
from foundry_tasks.store import integrity

RESULT = artifacts.result_key("foundry_train", "run", "prices", None)
LOG = artifacts.run_log_key("foundry_train", "run")


@pytest.fixture
def store(tmp_path):
    """A store with a run of one stage and one object."""
    store = LocalStore(tmp_path / "store")
    (tmp_path / "prices").write_bytes(b"prices")
    sha256 = store.put_object(tmp_path / "prices")
    result = StageResult(
        dag="foundry_train", run_id="run", stage="prices", shard=None, as_of=date(2026, 7, 1), status="ok", inputs={},
        outputs={"prices.parquet": Artifact(sha256=sha256, size_bytes=6)}, outputs_digest="0" * 64, metrics={},
        warnings=[], config={}, config_digest="0" * 64, code_version="1", image_digest="", seed=None, elapsed_s={},
        reused_from=None,
    )  # fmt: skip
    store.write(RESULT, result.model_dump_json().encode())
    store.append(LOG, json.dumps({"stage": "prices"}).encode())
    return store


def the_object(store):
    return next(store.keys("objects/"))


def test_a_whole_store_verifies(store):
    assert integrity.survey(store) == integrity.Survey(objects=1, documents=2, damaged=(), gone=())


@pytest.mark.parametrize("key", [RESULT, LOG, "the object"])
def test_half_of_anything_is_found_and_named(store, key):
    key = the_object(store) if key == "the object" else key
    whole = store.read(key)
    (store.root / key).chmod(0o644)
    store.write(key, whole[: len(whole) // 2])
    (line,) = integrity.survey(store).damaged
    assert line.startswith(store.locate(key))


def test_an_object_that_a_result_names_and_the_store_lacks_is_gone_not_damaged(store):
    key = the_object(store)
    store.delete(key)
    assert integrity.survey(store) == integrity.Survey(objects=0, documents=2, damaged=(), gone=(key,))
