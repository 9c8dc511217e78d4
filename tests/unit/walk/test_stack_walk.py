"""The walk of the stack: a fold's stack was not fitted on that fold, and reports its composition."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from foundry_tasks.contract.config import EnsembleConfig, WalkConfig
from foundry_tasks.evaluation.metrics import session_ranks
from foundry_tasks.features.labels import Labels
from foundry_tasks.models.market_regime import VOLATILITY
from foundry_tasks.walk.folds import WalkForwardValidator
from foundry_tasks.walk.stack_walk import StackInputs, walk_stack

SESSIONS, TICKERS, HORIZON = 620, 30, 1
REGIME = "market_trend_200d"
WALK = WalkConfig(folds=3, test_sessions=100, validation_sessions=20, warmup_blocks=2, min_fit_sessions=50)


def world(seed=0, *, bent=False):
    """Two base models' scores, a regime and labels. bent: the first score's size is informative, its sign is not."""
    rng = np.random.default_rng(seed)
    shape = (SESSIONS, TICKERS)
    scores = {"logistic": rng.normal(size=shape), "lightgbm": rng.normal(size=shape)}
    regime = {REGIME: rng.choice([-1.0, 1.0], SESSIONS)}
    speaks = np.abs(scores["logistic"]) if bent else 0.2 * scores["logistic"]
    rebent = rng.normal(size=shape) + 1.5 * speaks
    rebent[-HORIZON:] = np.nan
    known = np.isfinite(rebent)
    median = np.nanmedian(rebent[:-HORIZON], axis=1)
    above = np.zeros(shape)
    above[:-HORIZON] = rebent[:-HORIZON] > median[:, None]
    made = (rebent, rebent > 0, above, above, np.abs(rebent), np.abs(rebent))
    labels = Labels(*(np.where(known, values, np.nan) for values in made))
    return SimpleNamespace(scores=scores, regime=regime, labels=labels)


FOLDS = WalkForwardValidator(WALK).folds(SESSIONS, HORIZON)


def walked(world, **keys):
    done = []
    inputs = StackInputs(
        lambda _, window: {name: values[window.slice] for name, values in world.scores.items()},
        world.regime,
        world.labels,
        horizon=HORIZON,
        label_span=HORIZON,
    )
    config = EnsembleConfig(**{"seeds": 1, "threads": 1, **keys})
    result = walk_stack(FOLDS, inputs, config, advance=done.append)
    assert done == [fold.name for fold in FOLDS]
    return result


def poisoned(world, start):
    """The same world with other scores, regimes and labels from a session on."""
    rng = np.random.default_rng(99)
    for values in [*world.scores.values(), *world.regime.values()]:
        values[start:] = rng.normal(size=values[start:].shape)
    for values in (world.labels.up, world.labels.median, world.labels.sector):
        values[start:] = np.where(np.isfinite(values[start:]), 1 - values[start:], np.nan)
    world.labels.forward_return[start:] *= -3
    return world


@pytest.fixture(scope="module")
def bent_walk():
    return walked(world(bent=True))


# ------------------------------------------------------------------ what a fold's stack has seen
@pytest.mark.slow(5)
@pytest.mark.parametrize("calibration", ["base_rate_slope", "platt", "isotonic", "beta"])
@pytest.mark.parametrize("bent", [False, True], ids=["average", "meta-learner"])
def test_a_folds_stack_never_sees_its_own_validation_or_test(calibration, bent):
    keys = {"calibration": calibration, "calibration_sessions": 126}
    before = walked(world(bent=bent), **keys)
    for position, fold in enumerate(fold for fold in FOLDS if fold.reported):
        after = walked(poisoned(world(bent=bent), fold.fit.stop), **keys)
        assert after.folds[position].stack.to_bytes() == before.folds[position].stack.to_bytes()
        assert after.final.to_bytes() != before.final.to_bytes(), "the poison is one"


SWITCHES = {"regime_scale": True, "regime_intercept": True}


def turbulent_world():
    """In turbulent sessions scores are more informative and fewer tickers rise."""
    scene = world()
    rng = np.random.default_rng(8)
    scene.regime[VOLATILITY] = rng.uniform(size=SESSIONS)
    turbulent = (scene.regime[VOLATILITY] > 0.5)[:, None]
    known = np.isfinite(scene.labels.median)
    speaks = scene.scores["logistic"] + scene.scores["lightgbm"]
    above = (speaks * np.where(turbulent, 0.5, 0.1) + rng.normal(size=known.shape) > 0).astype(float)
    up = (rng.random(known.shape) < np.where(turbulent, 0.4, 0.6)).astype(float)
    up, above = (np.where(known, y, np.nan) for y in (up, above))
    scene.labels = replace(scene.labels, up=up, median=above, sector=above)
    return scene


def test_what_a_regime_does_to_a_fold_was_learned_before_its_validation():
    before = walked(turbulent_world(), **SWITCHES)
    for position, fold in enumerate(fold for fold in FOLDS if fold.reported):
        after = walked(poisoned(turbulent_world(), fold.fit.stop), **SWITCHES)
        assert after.folds[position].stack.to_bytes() == before.folds[position].stack.to_bytes()
        assert after.final.adjustment != before.final.adjustment, "the poison is one"


def test_regimes_are_asked_for_or_do_nothing_and_say_what_they_do():
    plain, asked = walked(turbulent_world()), walked(turbulent_world(), **SWITCHES)
    assert plain.final.adjustment is None
    assert "turbulent" not in plain.final.why
    calm, turbulent = asked.final.adjustment.factors
    assert calm < 0.8
    assert turbulent > 1.2
    assert asked.final.adjustment.shifts[0] > 0.1 > -0.1 > asked.final.adjustment.shifts[1]
    assert str(asked.final.adjustment) in asked.final.why
    for one, other in zip(asked.folds, plain.folds, strict=True):
        np.testing.assert_array_equal(session_ranks(one.p_up), session_ranks(other.p_up))
        np.testing.assert_array_equal(one.base_rate, other.base_rate, "what the gates compare with stays")
        assert not np.allclose(one.p_up, other.p_up)


@pytest.mark.parametrize(
    ("switch", "idle"), [("regime_scale", "shifts"), ("regime_intercept", "factors")], ids=lambda name: name
)
def test_a_switch_moves_its_own_number_alone(switch, idle):
    adjustment = walked(turbulent_world(), **{switch: True}).final.adjustment
    assert getattr(adjustment, idle) == {"shifts": (0.0, 0.0), "factors": (1.0, 1.0)}[idle]
    moved = {"shifts": adjustment.factors, "factors": adjustment.shifts}[idle]
    assert moved[0] != moved[1]


def test_a_folds_base_rate_knows_matured_labels_alone(bent_walk):
    for forecast, fold in zip(bent_walk.folds, (fold for fold in FOLDS if fold.reported), strict=True):
        t = fold.test.start + 40
        after = walked(poisoned(world(bent=True), t + 1 - HORIZON)).folds[fold.number - 1]
        at = t - forecast.window.start
        np.testing.assert_array_equal(after.base_rate[: at + 1], forecast.base_rate[: at + 1])


# ------------------------------------------------------------------ what it says
def test_with_too_few_blocks_it_is_the_plain_average_and_says_so(bent_walk):
    stack = bent_walk.folds[0].stack
    assert stack.meta is None
    assert "plain average" in stack.why
    assert "too few to judge stacking" in stack.why


def test_a_meta_learner_that_does_not_win_clearly_is_not_used_and_it_says_so():
    result = walked(world())
    for forecast in result.folds:
        assert forecast.stack.meta is None
        assert forecast.stack.why.startswith("plain average: ")
    assert "the meta-learner's AUC against it is " in result.final.why


def test_a_meta_learner_that_wins_clearly_is_used_and_it_says_by_how_much(bent_walk):
    assert bent_walk.final.meta is not None
    assert bent_walk.final.why.startswith("meta-learner: AUC against the average +0.")


def test_the_forecast_is_the_stacks_and_covers_validation_and_test(bent_walk):
    scene = world(bent=True)
    for forecast, fold in zip(bent_walk.folds, (fold for fold in FOLDS if fold.reported), strict=True):
        assert (forecast.window.start, forecast.window.stop) == (fold.validation.start, fold.test.stop)
        base = {name: values[forecast.window.slice] for name, values in scene.scores.items()}
        regime = {name: values[forecast.window.slice] for name, values in scene.regime.items()}
        expected = forecast.stack.p_up(base, regime, forecast.base_rate)
        np.testing.assert_array_equal(forecast.p_up, expected)
        assert ((forecast.p_up > 0) & (forecast.p_up < 1)).all()


def test_a_single_base_model_is_enough_to_stack():
    scene = world(bent=True)
    del scene.scores["lightgbm"]
    result = walked(scene)
    assert result.final.models == ("logistic",)
    assert result.final.meta is not None


def test_the_same_walk_twice_is_the_same_to_the_last_byte(bent_walk):
    again = walked(world(bent=True))
    assert again.final.to_bytes() == bent_walk.final.to_bytes()
    for one, other in zip(again.folds, bent_walk.folds, strict=True):
        assert one.stack.to_bytes() == other.stack.to_bytes()
        np.testing.assert_array_equal(one.p_up, other.p_up)
