"""What decides what is learned: every key of a conf has one place, and what changes nothing makes no other recipe."""

import numpy as np
import pytest

from foundry_tasks.contract.config import DeepConfig, EnsembleConfig, GatePolicy, ModelsConfig
from foundry_tasks.inputs.recipe import (
    CONFIGS,
    LEARNED,
    MARKET_DATA,
    UNLEARNED,
    configuration,
    on_the_same_prices,
    recipe_digest,
)
from foundry_tasks.walk.study import Recipe, study
from tests.leakage.markets import simulated_market

FIELDS = sorted({name for config in CONFIGS for name in config.model_fields})

OTHER = {
    # prices
    "market": "eu", "calendar": "XLON", "source": "parquet", "cross_check": "tiingo", "prices": "p", "columns": ["date=d"],
    "tickers": ["A"], "sectors": "s", "benchmark": "b", "vix": "v", "universe": "u", "start": "2015-01-01",
    "end": "2020-01-01", "overlap_sessions": 11, "skip_closed": True, "keep": ["A"], "redenominations": ["2005-01-01"],
    "min_coverage": 0.5,
    # features, labels
    "horizons": [2], "threads": 3, "feature_set": "core", "label_entry": "next_close",
    # models
    "walk": "rolling", "folds": 4, "test_sessions": 140, "validation_sessions": 62, "warmup_blocks": 1,
    "first_test_session": 300, "fit_sessions": 400, "min_fit_sessions": 90, "embargo_sessions": 1, "sequence_sessions": 10,
    "deep_size": "small", "deep_epochs": 2, "deep_loss": "cross_entropy", "deep_tasks": ["sign", "size"], "denoise": True,
    "learning_rate": 0.01, "precision": "bfloat16", "seed": 8, "models": ["logistic"], "label_kind": "up", "seeds": 2,
    "early_stopping": True, "stopping_sessions": 130, "tuning_trials": 2, "fan_out": "fold", "per_regime": True,
    # ensemble
    "calibration": "platt", "calibration_sessions": 250, "regime_scale": True, "regime_intercept": True,
}  # fmt: skip
"""Key → a value that is not its default."""

COUNTS_WHERE = {
    "fit_sessions": [{"walk": "rolling"}],
    "stopping_sessions": [{"early_stopping": True}, {"tuning_trials": 1}],
    "calibration_sessions": [{"calibration": name} for name in ("platt", "isotonic", "beta")],
    **{
        key: [{"models": ["xlstm_ts"]}, {"models": ["logistic", "lstm_transformer"]}] for key in DeepConfig.model_fields
    },
}
"""Key that is learned from under a condition → keys of another conf under which it is."""


def recipe(**keys):
    return configuration(config().model_dump(mode="json") for config in CONFIGS) | keys


def test_every_key_of_every_stage_of_a_recipe_has_one_place():
    places = [*MARKET_DATA, *LEARNED, *UNLEARNED]
    assert sorted(places) == FIELDS, "say in inputs/recipe.py whether the key decides what is learned"
    assert sorted(OTHER) == FIELDS


@pytest.mark.parametrize("key", sorted({*MARKET_DATA, *LEARNED}))
def test_a_key_that_is_learned_from_makes_another_recipe(key):
    assert recipe_digest(recipe(**{key: OTHER[key]})) != recipe_digest(recipe())


@pytest.mark.parametrize("key", sorted(UNLEARNED))
def test_a_key_that_changes_nothing_makes_no_other_recipe_and_no_other_prices(key):
    changed = recipe(**{key: OTHER[key]})
    assert recipe_digest(changed) == recipe_digest(recipe())
    assert on_the_same_prices(changed, recipe())


def test_every_key_with_a_condition_is_tested_where_it_counts():
    always = {key for key in UNLEARNED if key not in COUNTS_WHERE}
    everything = recipe(walk="rolling", early_stopping=True, calibration="platt", models=["xlstm_ts"])
    assert always == {key for key, unlearned in UNLEARNED.items() if unlearned(everything)}


@pytest.mark.parametrize(("key", "where"), [(key, where) for key, each in COUNTS_WHERE.items() for where in each])
def test_a_key_makes_another_recipe_where_it_is_learned_from(key, where):
    assert recipe_digest(recipe(**where, **{key: OTHER[key]})) != recipe_digest(recipe(**where))


@pytest.mark.parametrize("key", FIELDS)
def test_prices_are_the_same_unless_a_key_of_the_prices_differs(key):
    assert on_the_same_prices(recipe(**{key: OTHER[key]}), recipe()) == (key not in MARKET_DATA)


@pytest.mark.parametrize("key", FIELDS)
def test_a_recipe_of_a_version_without_a_key_is_the_recipe_with_its_default(key):
    earlier = {name: value for name, value in recipe().items() if name != key}
    assert recipe_digest(earlier) == recipe_digest(recipe())


def test_a_policy_that_asks_for_refits_makes_no_other_trial():
    judged = [configuration([GatePolicy(min_null_refits=asked).model_dump(mode="json")]) for asked in (0, 40)]
    assert judged[0] == judged[1]
    assert "min_null_refits" not in judged[0]


@pytest.mark.slow(5)
def test_what_is_said_to_change_nothing_that_is_learned_leaves_every_bit_of_the_forecasts():
    prices = simulated_market(sessions=300, tickers=12, seed=4, signal=0.2)
    walk = {"horizons": (1,), "models": ("logistic", "lightgbm"), "seeds": 1, "folds": 2, "test_sessions": 30}
    walk |= {"validation_sessions": 20, "warmup_blocks": 1, "threads": 1}

    def p_up(**keys):
        models, ensemble = (
            config.model_validate({name: value for name, value in (walk | keys).items() if name in config.model_fields})
            for config in (ModelsConfig, EnsembleConfig)
        )
        return study(prices, Recipe("core", models, ensemble, GatePolicy(resamples=200))).p_up

    changed = {key: value for key, value in OTHER.items() if key in UNLEARNED and key != "horizons"}
    np.testing.assert_array_equal(p_up(**changed), p_up())
    assert not np.array_equal(p_up(calibration="platt"), p_up())
