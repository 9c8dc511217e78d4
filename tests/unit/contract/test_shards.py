"""The pieces of the models stage: together the whole, none twice, and each one that the stage understands."""

import pytest

from foundry_tasks.contract.config import ModelsConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.stages import shards, stage_config
from foundry_tasks.stages.models import Piece
from foundry_tasks.validation.walk_forward import WalkForwardValidator

CONF = {"horizons": [1, 5], "models": ["logistic", "lightgbm"], "folds": 2, "warmup_blocks": 2}


def cells(shard):
    """Horizon, model and block of everything that the stage computes for a shard."""
    config = ModelsConfig(**CONF)
    piece = Piece.of(shard, config, {h: WalkForwardValidator(config).folds(1200, h) for h in config.horizons})
    return [(h, model, block) for h in piece.horizons for model in piece.models for block in piece.blocks]


@pytest.mark.parametrize(("fan_out", "count"), [("none", 1), ("horizon", 2), ("model", 4), ("fold", 16)])
def test_the_pieces_are_the_whole_and_none_overlaps(fan_out, count):
    found = shards(CONF | {"fan_out": fan_out})
    assert len(found) == count
    computed = [cell for shard in found for cell in cells(shard)]
    assert sorted(computed) == sorted(cells(None))


def test_the_runtime_decides_where_the_conf_does_not():
    assert shards(CONF) == [""]
    assert shards(CONF, default="horizon") == ["h=1", "h=5"]
    assert shards(CONF | {"fan_out": None}, default="horizon") == ["h=1", "h=5"]
    assert shards(CONF | {"fan_out": "none"}, default="horizon") == [""]


def test_the_finest_piece_names_horizon_model_and_fold():
    assert shards(CONF | {"fan_out": "fold"})[:2] == [
        "h=1,model=logistic,fold=warmup2",
        "h=1,model=logistic,fold=warmup1",
    ]


def test_an_impossible_conf_has_no_pieces():
    with pytest.raises(ConfigError, match="fan_out='ticker'"):
        shards({"fan_out": "ticker"})
    with pytest.raises(ConfigError, match="folds=1"):
        shards({"folds": 1, "fan_out": "fold"})


def test_how_a_stage_is_mapped_is_no_part_of_what_it_computes():
    one, other = stage_config("models", CONF), stage_config("models", CONF | {"fan_out": "fold"})
    assert one.model_dump() == other.model_dump(), "else nothing is reused where only the mapping changed"
