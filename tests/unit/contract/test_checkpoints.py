"""A finished part of the work is found by a retry of the same work, and by nobody else."""

from datetime import date

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import object_key
from foundry_tasks.contract.checkpoints import Checkpoints, Note
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.stage_outputs import StageOutputs
from foundry_tasks.contract.steps import Steps
from foundry_tasks.runtime.progress import PlainProgress


class Part(Note):
    warnings: tuple[str, ...]


@pytest.fixture
def a_try(tmp_path):
    """a_try(prefix) → the outputs and the checkpoints of a try; the store outlives it."""
    store = LocalStore(tmp_path / "store")

    def make(prefix="checkpoints/models/abc"):
        identity = Identity("foundry_train", "r", "models", None, date(2026, 6, 30))
        outputs = StageOutputs(identity, store, tmp_path / "workspace", expectations=None, steps=Steps(PlainProgress()))
        checkpoints = Checkpoints(store, outputs)
        checkpoints.prefix = prefix
        return outputs, checkpoints

    make.store = store
    return make


def test_a_retry_finds_the_note_and_its_artifacts_are_published(a_try):
    outputs, checkpoints = a_try()
    published = outputs.publish_file("scores.parquet", b"scores")
    outputs.publish_file("of another part", b"x")
    checkpoints.save("part", Part(warnings=("few sessions",)), ["scores.parquet"])
    outputs, checkpoints = a_try()
    assert checkpoints.load("part", Part) == Part(warnings=("few sessions",))
    assert outputs.artifacts == {"scores.parquet": published}


def test_a_part_whose_artifact_is_gone_is_not_found(a_try):
    outputs, checkpoints = a_try()
    published = outputs.publish_file("scores.parquet", b"scores")
    checkpoints.save("part", Part(warnings=()), ["scores.parquet"])
    a_try.store.delete(object_key(published.sha256))
    outputs, checkpoints = a_try()
    assert checkpoints.load("part", Part) is None
    assert not outputs.artifacts


@pytest.mark.parametrize("prefix", ["checkpoints/models/def", None])
def test_other_work_and_work_without_a_digest_find_nothing(a_try, prefix):
    a_try()[1].save("part", Part(warnings=()))
    assert a_try(prefix)[1].load("part", Part) is None


def test_work_without_a_digest_saves_nothing(a_try):
    a_try(None)[1].save("part", Part(warnings=()))
    assert not list(a_try.store.keys(""))
