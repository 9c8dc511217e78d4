"""Deep models in the models stage: fitted after the others, name their device, and resume in the epoch of a kill."""

import pytest

from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.e2e.test_checkpoints import RUN, Stopping, prepared
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.deep

DEEP = {"models": ["xlstm_ts", "logistic"], "seeds": 2, "deep_epochs": 4, "sequence_sessions": 4}


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    market = simulated_market(sessions=340, tickers=12, seed=5)
    return TINY | write_market(tmp_path_factory.mktemp("market"), market) | DEEP


@pytest.fixture(scope="module")
def told():
    return Stopping()


@pytest.fixture(scope="module")
def undisturbed(conf, told, tmp_path_factory):
    """The installation and the metrics of its models stage; `told` has the progress lines."""
    foundry: Foundry = prepared(tmp_path_factory.mktemp("undisturbed"), conf)
    return foundry, foundry.stage("models", RUN, conf, progress=told)


def test_every_epoch_is_told_of_after_all_other_models(undisturbed, told):
    assert undisturbed
    assert len(told.notes) == told.total
    first = next(at for at, note in enumerate(told.notes) if note.startswith("xlstm_ts"))
    assert all(note.startswith("logistic") for note in told.notes[:first])
    assert sum("epoch 4, loss" in note for note in told.notes) == 2 * first, "two seeds a block"


def test_the_result_says_what_trained_and_warns_once_that_no_gpu_did(undisturbed):
    _, result = undisturbed
    assert result.metrics["deep"] == {"device": "CPU", "size": "small", "epochs": 4}
    assert [warning for warning in result.warnings if "GPU" in warning] == [
        "no GPU here: deep models are trained on the CPU at size small. deep_size=full asks for the size that a GPU trains"
    ]


def test_a_stage_that_was_killed_in_the_third_epoch_goes_on_there_and_has_the_same_result(
    conf, undisturbed, told, tmp_path
):
    foundry = prepared(tmp_path, conf)
    third = next(at for at, note in enumerate(told.notes) if "epoch 3, loss" in note)
    with pytest.raises(SystemExit):
        foundry.stage("models", RUN, conf, progress=Stopping(third + 1))
    again = Stopping()
    result = foundry.stage("models", RUN, conf, progress=again)
    kept = [note for note in again.notes if note.startswith("xlstm_ts seed") and "kept" in note]
    assert len(kept) == 3
    assert result.outputs_digest == undisturbed[1].outputs_digest
    assert result.warnings == undisturbed[1].warnings


def test_nothing_of_an_epoch_is_left_once_its_block_is_published(undisturbed):
    foundry, _ = undisturbed
    states = [key for key in foundry.store.keys("checkpoints/") if "/xlstm_ts-" in key]
    blocks = [key for key in states if key.rpartition("/")[2].startswith(("xlstm_ts-fold", "xlstm_ts-warmup"))]
    assert len(states) == 3 * len(blocks)
    assert all(len(foundry.store.read(key)) < 50 for key in set(states) - set(blocks))
