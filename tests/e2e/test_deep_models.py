"""A run with a deep model with several heads: its own shard, audited, and predictions from its window of sessions."""

import numpy as np
import pytest

from foundry_tasks.contract.stages import shards
from foundry_tasks.data.tables import read_features, read_table
from foundry_tasks.models.bundle import Bundle
from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.deep

TASKS = ["sign", "size", "volatility"]
CONF = TINY | {
    "models": ["logistic", "lstm_transformer"],
    "sequence_sessions": 5,
    "deep_epochs": 1,
    "deep_tasks": TASKS,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run without shards, from prices to predictions."""
    folder = tmp_path_factory.mktemp("deep")
    conf = CONF | write_market(folder / "market", simulated_market(sessions=320, tickers=12, seed=5, signal=0.5))
    foundry = Foundry(folder)
    return foundry, conf, foundry.train("whole", conf, until="predict")


def test_beside_the_light_models_as_a_shard_of_its_own_it_gives_the_bytes_of_the_whole(trained):
    foundry, conf, results = trained
    for stage in ("prices", "features", "labels"):
        foundry.stage(stage, "pieces", conf)
    shards_run = [foundry.stage("models", "pieces", conf, shard=shard) for shard in shards(conf)]
    assert [shard.shard for shard in shards_run] == ["model=light", "model=lstm_transformer"]
    assert all(shard.reused_from is None for shard in shards_run)
    scores = {name: one.sha256 for shard in shards_run for name, one in shard.outputs.items() if "scores/" in name}
    whole = {name: one.sha256 for name, one in results["models"].outputs.items() if "scores/" in name}
    assert scores == whole
    assert foundry.stage("ensemble", "pieces", conf).outputs_digest == results["ensemble"].outputs_digest


def test_its_refit_is_audited_for_leaks_and_has_none(trained):
    _, _, results = trained
    assert results["leakage"].metrics["leaks"] == 0
    assert results["leakage"].reused_from is None


def test_what_it_predicts_of_the_last_session_is_what_it_says_of_it_among_all_others(trained):
    foundry, _, results = trained
    bundle = Bundle.from_file(foundry.store.object_path(results["refit"].outputs["bundle/1d.zip"].sha256))
    assert bundle.lookback_sessions == CONF["sequence_sessions"] - 1
    panel = read_features(foundry.store.object_path(results["features"].outputs["features.parquet"].sha256))
    expected = dict(zip(panel.tickers, bundle.p_up(panel)[-1], strict=True))
    table = read_table(foundry.store.object_path(results["predict"].outputs["predictions.parquet"].sha256))
    assert dict(zip(table["ticker"], table["p_up"], strict=True)) == expected
    without_its_past = bundle.p_up(panel.last(1))[0]
    assert not np.allclose(list(expected.values()), without_its_past), "the past makes a difference"
