"""Losses: values by hand, invariances, and gradients without dispersion."""

from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.config import DeepLoss
from foundry_tasks.models.deep.losses import (
    AntiCollapseDirectional,
    CrossEntropy,
    CrossEntropyCorrelation,
    DirectionalHuber,
    HuberWhereKnown,
    SessionCorrelation,
    loss_named,
)

LOSSES = (CrossEntropy, SessionCorrelation, CrossEntropyCorrelation, DirectionalHuber, AntiCollapseDirectional)
SCORES = np.array([0.3, -0.2, 0.1, 0.9, -0.4, 0.0])
TARGET = np.array([1, 0, 1, 0, 0, 1])
SESSION = np.array([0, 0, 0, 1, 1, 1])


def rows(target, session):
    return np.stack([target, session], axis=1).astype(np.float32)


def value(loss, scores=SCORES, target=TARGET, session=SESSION):
    return float(loss(rows(target, session), np.asarray(scores, np.float32)[:, None]))


def gradient(loss, scores, target=TARGET, session=SESSION):
    scores = tf.constant(np.asarray(scores, np.float32)[:, None])
    with tf.GradientTape() as tape:
        tape.watch(scores)
        found = loss(rows(target, session), scores)
    return tape.gradient(found, scores).numpy()[:, 0]


def log_odds_of(forecast):
    """The score whose signed forecast, tanh(s / 2), is `forecast`."""
    return 2 * np.arctanh(forecast)


def test_cross_entropy_of_an_undecided_score_is_the_logarithm_of_two():
    assert value(CrossEntropy(), scores=np.zeros(6)) == pytest.approx(np.log(2))


def test_cross_entropy_is_the_log_likelihood_of_what_happened():
    p = np.array([0.8, 0.3])
    scores = np.log(p / (1 - p))
    assert value(CrossEntropy(), scores, [1, 0], [0, 0]) == pytest.approx(-(np.log(0.8) + np.log(0.7)) / 2)


def test_session_correlation_is_one_less_the_mean_of_the_sessions_correlations():
    by_hand = np.mean([np.corrcoef(SCORES[s], TARGET[s])[0, 1] for s in (slice(0, 3), slice(3, 6))])
    assert value(SessionCorrelation()) == pytest.approx(1 - by_hand, abs=1e-6)


def test_a_perfect_order_of_two_costs_nothing_and_the_reverse_costs_two():
    assert value(SessionCorrelation(), [1, -1], [1, 0], [0, 0]) == pytest.approx(0, abs=1e-6)
    assert value(SessionCorrelation(), [-1, 1], [1, 0], [0, 0]) == pytest.approx(2, abs=1e-6)


def test_a_session_of_one_class_and_a_session_of_one_row_are_left_out():
    alone = value(SessionCorrelation(), SCORES[:3], TARGET[:3], SESSION[:3])
    more = value(SessionCorrelation(), [*SCORES[:3], 5, -7, 2], [*TARGET[:3], 1, 1, 0], [0, 0, 0, 1, 1, 2])
    assert more == pytest.approx(alone, abs=1e-6)


def test_without_a_session_to_order_the_correlation_is_one_and_has_no_gradient():
    assert value(SessionCorrelation(), target=np.ones(6)) == 1.0
    assert not gradient(SessionCorrelation(), SCORES, target=np.ones(6)).any()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.floats(0.1, 10), st.floats(0.1, 10))
def test_session_correlation_does_not_see_a_sessions_shift_and_scale(seed, shift, first, second):
    scores = np.random.default_rng(seed).normal(size=6)
    moved = shift * SESSION + np.where(SESSION == 0, first, second) * scores
    assert value(SessionCorrelation(), moved) == pytest.approx(value(SessionCorrelation(), scores), abs=2e-4)


@settings(max_examples=20)
@given(st.permutations(range(6)), st.permutations(range(6)))
def test_neither_the_order_of_the_rows_nor_the_sessions_numbers_matter_to_the_correlation(order, numbers):
    order, numbers = list(order), np.array(numbers)
    renamed = value(SessionCorrelation(), SCORES[order], TARGET[order], numbers[SESSION[order]])
    assert renamed == pytest.approx(value(SessionCorrelation()), abs=1e-6)


def test_the_default_loss_is_cross_entropy_and_the_weighted_correlation():
    both = value(CrossEntropy()) + 0.3 * value(SessionCorrelation())
    assert value(CrossEntropyCorrelation(weight=0.3)) == pytest.approx(both)


def test_directional_huber_is_quadratic_near_linear_far_and_a_tenth_dearer_on_the_wrong_side():
    def of(target, forecast):
        return value(DirectionalHuber(delta=1.0, direction_weight=0.1), [log_odds_of(forecast)], [target], [0])

    assert of(1, 0.6) == pytest.approx(0.5 * 0.4**2)
    assert of(1, -0.6) == pytest.approx((1.6 - 0.5) * 1.1)
    assert of(0, -0.6) == pytest.approx(0.5 * 0.4**2)
    assert of(0, 0.6) == pytest.approx((1.6 - 0.5) * 1.1)


def test_anti_collapse_is_directional_huber_while_forecasts_spread_enough():
    assert value(AntiCollapseDirectional()) == pytest.approx(value(DirectionalHuber()))


def test_anti_collapse_costs_its_whole_weight_where_nothing_spreads_and_a_quarter_at_half_the_spread():
    loss = AntiCollapseDirectional(min_spread=0.2, spread_weight=3.0)
    constant = np.full(6, log_odds_of(0.3))
    assert value(loss, constant) - value(DirectionalHuber(), constant) == pytest.approx(3.0, abs=1e-4)
    half = log_odds_of(np.where(TARGET == 1, 0.1, -0.1))
    assert TARGET.std() == 0.5  # deviation of 0/1; the signed target has deviation 1
    assert value(loss, half) - value(DirectionalHuber(), half) == pytest.approx(3.0 / 4, abs=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("constant", [0.0, 0.7, -40.0])
def test_a_constant_score_has_a_finite_gradient(loss, constant):
    assert np.isfinite(gradient(loss(), np.full(6, constant))).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", [1e-8, 1e-3, 1.0, 300.0])
def test_scores_of_any_size_have_a_finite_value_and_gradient(loss, size):
    assert np.isfinite(value(loss(), size * SCORES))
    assert np.isfinite(gradient(loss(), size * SCORES)).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_gradient_is_what_small_steps_say(loss):
    found = gradient(loss(), SCORES)
    step = 1e-2
    by_steps = [
        (value(loss(), SCORES + step * unit) - value(loss(), SCORES - step * unit)) / (2 * step) for unit in np.eye(6)
    ]
    undecided = (SCORES == 0) & isinstance(loss(), DirectionalHuber)  # the loss is discontinuous there
    assert found[~undecided] == pytest.approx(np.array(by_steps)[~undecided], abs=2e-3)


@pytest.mark.parametrize("loss", [SessionCorrelation, CrossEntropyCorrelation])
def test_constant_scores_are_moved_towards_the_targets_order(loss):
    moved = -gradient(loss(), np.zeros(6))
    for session in (0, 1):
        of = session == SESSION
        assert moved[of & (TARGET == 1)].min() > moved[of & (TARGET == 0)].max()


@pytest.mark.parametrize("name", get_args(DeepLoss))
def test_every_loss_of_the_config_is_there_and_a_saved_one_is_read_back(name):
    loss = loss_named(name)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert value(again) == value(loss)


@pytest.mark.parametrize(
    ("loss", "numbers"),
    [
        (CrossEntropyCorrelation, {"weight": 0.7}),
        (DirectionalHuber, {"delta": 0.5, "direction_weight": 2.0}),
        (AntiCollapseDirectional, {"delta": 0.5, "direction_weight": 2.0, "min_spread": 0.3, "spread_weight": 5.0}),
    ],
)
def test_a_saved_loss_keeps_its_numbers(loss, numbers):
    config = keras.losses.deserialize(keras.losses.serialize(loss(**numbers))).get_config()
    assert {name: config[name] for name in numbers} == numbers


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_scores_are_compared_in_float32(loss):
    half = loss()(rows(TARGET, SESSION), tf.constant(SCORES[:, None], tf.float16))
    assert half.dtype == tf.float32
    assert float(half) == pytest.approx(value(loss()), abs=2e-3)


# ------------------------------------------------------------------ tasks beside the sign
def test_hubers_loss_is_half_the_square_of_a_small_error_and_as_steep_as_a_line_for_a_large_one():
    assert value(HuberWhereKnown(), scores=[0.5], target=[1.0], session=[0]) == pytest.approx(0.125)
    assert value(HuberWhereKnown(), scores=[0.0], target=[3.0], session=[0]) == pytest.approx(2.5)
    np.testing.assert_allclose(gradient(HuberWhereKnown(), [0.5, 0.0], [1.0, 3.0], [0, 0]) * 2, [-0.5, -1.0])


def test_a_row_without_a_target_weighs_nothing_and_leaves_the_others_what_they_weigh():
    holed = np.array([np.nan, 2.0, np.nan, -1.0, 0.5, np.nan])
    found = gradient(HuberWhereKnown(), SCORES, holed)
    assert np.isfinite(value(HuberWhereKnown(), target=holed))
    assert not found[np.isnan(holed)].any()
    whole = gradient(HuberWhereKnown(), SCORES, np.nan_to_num(holed))
    np.testing.assert_array_equal(found[np.isfinite(holed)], whole[np.isfinite(holed)])


def test_a_loss_of_ours_comes_back_from_its_config():
    again = keras.losses.deserialize(keras.losses.serialize(HuberWhereKnown()))
    assert isinstance(again, HuberWhereKnown)
