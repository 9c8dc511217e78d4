"""P(up): calibrators, the base rate known at the time, stacking."""

import numpy as np
import pytest

from foundry_tasks.models.calibration import (
    BaseRateSlope,
    calibrator_from_dict,
    expanding_base_rate,
    fit_calibrator,
)
from foundry_tasks.models.meta_learner import average, fit_meta_learner, standardise
from foundry_tasks.models.stack import Stack

RNG = np.random.default_rng(4)


def planted(slope, sessions=300, tickers=100, intercept=0.0):
    scores = RNG.normal(size=(sessions, tickers))
    p = 1 / (1 + np.exp(-(intercept + slope * scores)))
    return scores, (RNG.random(p.shape) < p).astype(float)


def test_the_default_calibrator_finds_the_slope_that_was_planted():
    scores, y = planted(0.2)
    fitted = fit_calibrator("base_rate_slope", scores, up=y, above_median=y, sessions=252)
    assert fitted.slope == pytest.approx(0.2, abs=0.03)


def test_a_score_that_points_the_wrong_way_gets_slope_zero_and_p_up_is_the_base_rate():
    scores, y = planted(-0.2)
    fitted = fit_calibrator("base_rate_slope", scores, up=y, above_median=y, sessions=252)
    assert fitted.slope == 0
    assert fitted.p_up(scores, np.full(scores.shape, 0.53)) == pytest.approx(np.full(scores.shape, 0.53))


@pytest.mark.parametrize("kind", ["base_rate_slope", "platt", "isotonic", "beta"])
def test_every_calibrator_rises_with_the_score_keeps_nan_and_survives_json(kind):
    scores, y = planted(0.5)
    fitted = fit_calibrator(kind, scores, up=y, above_median=y, sessions=252)
    again = calibrator_from_dict(fitted.as_dict())
    grid = np.array([[-2.0, 0.0, 2.0, np.nan]])
    p = again.p_up(grid, np.full(grid.shape, 0.5))
    assert p[0, 0] < p[0, 1] < p[0, 2]
    assert np.isnan(p[0, 3])
    assert np.array_equal(p, fitted.p_up(grid, np.full(grid.shape, 0.5)), equal_nan=True)


def test_platt_finds_slope_and_intercept_on_its_window_alone():
    scores, y = planted(0.5, intercept=0.3)
    y[:48] = 0
    fitted = fit_calibrator("platt", scores, up=y, above_median=y, sessions=252)
    assert fitted.weights[0] == pytest.approx(0.5, abs=0.05)
    assert fitted.intercept == pytest.approx(0.3, abs=0.05)


def test_the_base_rate_at_a_session_is_made_of_labels_that_had_matured():
    up = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [np.nan, np.nan]])
    assert expanding_base_rate(up, label_span=1) == pytest.approx([0.5, 1.0 - 1e-6, 0.5, 0.5], abs=1e-5)
    assert expanding_base_rate(up, label_span=2) == pytest.approx([0.5, 0.5, 1.0 - 1e-6, 0.5], abs=1e-5)


def test_p_up_is_the_base_rate_where_the_score_is_the_sessions_mean():
    assert BaseRateSlope(0.1).p_up(np.zeros(1), np.array([0.55])) == pytest.approx([0.55])


def test_standardised_scores_have_mean_zero_and_deviation_one_in_every_session():
    z = standardise(RNG.normal(3, 7, (5, 50)))
    assert z.mean(axis=1) == pytest.approx(np.zeros(5), abs=1e-12)
    assert z.std(axis=1) == pytest.approx(np.ones(5))


def test_the_average_of_models_does_not_depend_on_their_scales():
    a, b = RNG.normal(size=(4, 30)), RNG.normal(size=(4, 30))
    assert average({"a": a, "b": b}) == pytest.approx(average({"a": 100 * a + 3, "b": b / 9}))


def test_a_stack_survives_its_bytes_with_and_without_a_meta_learner():
    base = {"a": RNG.normal(size=(60, 80)), "b": RNG.normal(size=(60, 80))}
    regime = {"trend": RNG.normal(size=60)}
    y = (base["a"] + RNG.normal(size=(60, 80)) > 0).astype(float)
    meta = fit_meta_learner(base, regime, y, seeds=(1, 2), threads=1)
    for learner in (None, meta):
        stack = Stack(("a", "b"), learner, BaseRateSlope(0.2), "why")
        again = Stack.from_bytes(stack.to_bytes())
        p = stack.p_up(base, regime, np.full(60, 0.5))
        assert np.array_equal(p, again.p_up(base, regime, np.full(60, 0.5)), equal_nan=True)
        assert again.to_bytes() == stack.to_bytes()


def test_a_meta_learner_learns_which_of_two_models_to_trust():
    base = {"good": RNG.normal(size=(100, 100)), "bad": RNG.normal(size=(100, 100))}
    y = (base["good"] + RNG.normal(size=(100, 100)) > 0).astype(float)
    meta = fit_meta_learner(base, {}, y, seeds=(1,), threads=1)
    scores = meta.scores(base, {})
    assert np.corrcoef(scores.ravel(), base["good"].ravel())[0, 1] > 0.8
    assert abs(np.corrcoef(scores.ravel(), base["bad"].ravel())[0, 1]) < 0.25
