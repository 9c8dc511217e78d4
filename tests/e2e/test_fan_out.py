"""For every split of the models stage into shards: the same scores and the same ensemble."""

import time
from datetime import UTC, datetime

import pytest

from foundry_tasks.contract.identity import Identity
from foundry_tasks.runtime import runner
from foundry_tasks.runtime.progress import PlainProgress
from tests.e2e.foundry_here import AS_OF, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(16)

CONF = {
    "horizons": [1, 5],
    "models": ["logistic", "lightgbm"],
    "seeds": 2,
    "folds": 2,
    "test_sessions": 30,
    "validation_sessions": 20,
    "warmup_blocks": 1,
}
BLOCKS = ("warmup1", "fold1", "fold2")
FAN_OUT = {
    "horizon": [f"h={h}" for h in (1, 5)],
    "model": [f"model={m}" for m in ("logistic", "lightgbm")],
    "fold": [f"fold={f}" for f in BLOCKS],
    "everything": [f"h={h},model={m},fold={f}" for h in (1, 5) for m in ("logistic", "lightgbm") for f in BLOCKS],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run without shards, up to the stage gates."""
    folder = tmp_path_factory.mktemp("whole")
    conf = CONF | write_market(folder / "market", simulated_market(sessions=330, tickers=14, seed=3, signal=0.2))
    foundry = Foundry(folder)
    return foundry, conf, foundry.train("whole", conf, until="gates")


def run(foundry, run_id, stage, conf, shard=None):
    context = runner.RunContext(
        settings=foundry.settings,
        store=foundry.store,
        expectations=None,
        registry=foundry.registry,
        progress=PlainProgress(),
        now=lambda: datetime(2026, 7, 1, 12, tzinfo=UTC),
        started=time.perf_counter(),
    )
    return runner.execute(Identity("foundry_train", run_id, stage, shard, AS_OF), conf, context)


def named(results, prefix):
    """Output name → sha256, over all shards."""
    return {name: item.sha256 for result in results for name, item in result.outputs.items() if name.startswith(prefix)}


@pytest.mark.parametrize("fan_out", FAN_OUT)
def test_shards_give_the_scores_and_the_ensemble_of_the_whole_byte_for_byte(whole, fan_out):
    foundry, conf, results = whole
    for stage in ("prices", "features", "labels"):
        foundry.stage(stage, fan_out, conf)
    shards = [run(foundry, fan_out, "models", conf, shard) for shard in FAN_OUT[fan_out]]
    assert all(shard.reused_from is None for shard in shards)
    for prefix in ("scores/", "fit/", "folds.json"):
        assert named(shards, prefix) == named([results["models"]], prefix)
    ensemble = run(foundry, fan_out, "ensemble", conf)
    assert ensemble.reused_from is None, "its inputs are named by shard"
    assert ensemble.outputs_digest == results["ensemble"].outputs_digest


@pytest.mark.parametrize("threads", [1, 5])
def test_as_many_fits_side_by_side_as_one_likes_give_the_same_bytes(whole, threads):
    foundry, conf, results = whole
    for stage in ("prices", "features", "labels"):
        foundry.stage(stage, f"{threads}-threads", conf)
    models = run(foundry, f"{threads}-threads", "models", conf | {"threads": threads})
    assert models.reused_from is None
    assert models.outputs_digest == results["models"].outputs_digest


def test_what_follows_a_fan_out_is_what_follows_the_whole(whole):
    foundry, conf, _ = whole
    conf = conf | {"seed": 8}  # results are not reused
    for stage in ("prices", "features", "labels"):
        foundry.stage(stage, "mapped", conf)
        foundry.stage(stage, "unmapped", conf)
    foundry.stage("models", "unmapped", conf)
    for shard in FAN_OUT["everything"]:
        run(foundry, "mapped", "models", conf, shard)
    for stage in ("ensemble", "leakage", "gates", "refit"):
        mapped, unmapped = run(foundry, "mapped", stage, conf), run(foundry, "unmapped", stage, conf)
        assert mapped.outputs_digest == unmapped.outputs_digest, stage
