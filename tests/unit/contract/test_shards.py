"""The shards of the models stage: complete, disjoint, each accepted by the stage; and their images."""

import pytest

from foundry_tasks.contract.config import ModelsConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.stages import STAGES, image_of_task, shards, stage_config
from foundry_tasks.stages.models import Shard
from foundry_tasks.walk.folds import WalkForwardValidator

CONF = {"horizons": [1, 5], "models": ["logistic", "lightgbm"], "folds": 2, "warmup_blocks": 2}
DEEP = CONF | {"models": ["logistic", "xlstm_ts", "lightgbm"]}
FITTING = ("models", "leakage", "nulls", "refit")


def cells(shard, conf=CONF):
    """(horizon, model, block) of all fits of a shard."""
    config = ModelsConfig(**conf)
    shard = Shard.of(shard, config, {h: WalkForwardValidator(config).folds(1200, h) for h in config.horizons})
    return [(h, model, block) for h in shard.horizons for model in shard.models for block in shard.blocks]


@pytest.mark.parametrize(("fan_out", "count"), [("none", 1), ("model", 2), ("fold", 8), ("horizon", 16)])
def test_the_shards_are_the_whole_and_none_overlaps(fan_out, count):
    found = shards(CONF | {"fan_out": fan_out})
    assert len(found) == count
    computed = [cell for shard in found for cell in cells(shard)]
    assert sorted(computed) == sorted(cells(None))


def test_the_runtime_decides_where_the_conf_does_not():
    assert shards(CONF) == [""]
    assert shards(CONF, default="model") == ["model=logistic", "model=lightgbm"]
    assert shards(CONF | {"fan_out": None}, default="model") == ["model=logistic", "model=lightgbm"]
    assert shards(CONF | {"fan_out": "none"}, default="model") == [""]


def test_the_finest_shard_names_horizon_model_and_fold():
    assert shards(CONF | {"fan_out": "fold"})[0] == "model=logistic,fold=warmup2", "its horizons share its bins"
    assert shards(CONF | {"fan_out": "horizon"})[:2] == [
        "h=1,model=logistic,fold=warmup2",
        "h=1,model=logistic,fold=warmup1",
    ]


# ------------------------------------------------------------------ deep models
@pytest.mark.parametrize(("fan_out", "count"), [("none", 2), ("model", 3), ("fold", 12), ("horizon", 24)])
def test_a_deep_model_is_a_shard_of_its_own_and_the_shards_are_still_the_whole(fan_out, count):
    found = shards(DEEP | {"fan_out": fan_out})
    assert len(found) == count
    computed = [cell for shard in found for cell in cells(shard, DEEP)]
    assert sorted(computed) == sorted(cells(None, DEEP))
    for shard in found:
        assert {name == "xlstm_ts" for _, name, _ in cells(shard, DEEP)} in ({True}, {False})


def test_what_is_not_deep_stays_together_under_one_name():
    assert shards(DEEP) == ["model=light", "model=xlstm_ts"]
    assert {name for _, name, _ in cells("h=5,model=light", DEEP)} == {"logistic", "lightgbm"}


def test_deep_models_alone_leave_no_empty_shard():
    assert shards(DEEP | {"models": ["xlstm_ts", "lstm_transformer"]}) == ["model=xlstm_ts", "model=lstm_transformer"]
    with pytest.raises(ConfigError, match="shard 'model=light' is not in horizons"):
        cells("model=light", DEEP | {"models": ["xlstm_ts"]})


@pytest.mark.parametrize(
    ("shard", "image"),
    [
        (None, "cuda"),
        ("h=1", "cuda"),
        ("h=1,model=xlstm_ts,fold=fold1", "cuda"),
        ("model=light", "cpu"),
        ("h=1,model=lightgbm", "cpu"),
    ],
)
def test_a_shard_has_the_image_of_the_deep_models_where_it_fits_one(shard, image):
    assert image_of_task("models", shard, DEEP) == image
    assert image_of_task("models", shard, CONF) == "cpu"


@pytest.mark.parametrize("stage", STAGES)
def test_only_what_fits_deep_models_anew_leaves_the_cpu(stage):
    assert image_of_task(stage, None, DEEP) == ("cuda" if stage in FITTING else "cpu")
    assert image_of_task(stage, None, {}) == "cpu"


def test_a_simulation_fits_models_only_where_it_retrains():
    assert image_of_task("simulate", None, DEEP) == "cpu"
    assert image_of_task("simulate", None, DEEP | {"retrain_sessions": 20}) == "cuda"


# ------------------------------------------------------------------ the rest
def test_an_impossible_conf_has_no_shards():
    with pytest.raises(ConfigError, match="fan_out='ticker'"):
        shards({"fan_out": "ticker"})
    with pytest.raises(ConfigError, match="folds=1"):
        shards({"folds": 1, "fan_out": "fold"})


def test_how_a_stage_is_mapped_is_no_part_of_what_it_computes():
    one, other = stage_config("models", CONF), stage_config("models", CONF | {"fan_out": "fold"})
    assert one.model_dump() == other.model_dump(), "else nothing is reused where only the mapping changed"
