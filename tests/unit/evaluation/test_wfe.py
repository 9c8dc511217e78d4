"""Walk-forward efficiency with other zeros of skill, Fieller's set, consistency, and loss out of sample."""

import numpy as np
import pytest

from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.wfe import (
    fieller_set,
    fold_consistency,
    overfitting_ratio,
    walk_forward_efficiency,
    wfe_interval,
)
from foundry_tasks.statistics.bootstrap import Resampling
from foundry_tasks.statistics.newey_west import mean_standard_error

POLICY = {"horizon": 1, "confidence": 0.95}
NAN = float("nan")


def windows(mean, *, folds=5, sessions=150, deviation=0.05, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(mean, deviation, sessions) for _ in range(folds)]


def test_efficiency_of_an_ic_counts_from_zero():
    assert walk_forward_efficiency([0.02, 0.04], [0.01, 0.02], neutral=0) == pytest.approx(0.5)


def test_an_always_long_model_is_efficient_on_accuracy_and_undefined_against_the_base_rate():
    rng = np.random.default_rng(4)
    up = [(rng.random((150, 50)) < 0.55).astype(float) for _ in range(4)]
    long = np.full((150, 50), 0.6)
    accuracy = [metrics.session_accuracy(long, labels).mean() for labels in up]
    beyond = [metrics.session_accuracy(long, labels).mean() - labels.mean() for labels in up]
    assert walk_forward_efficiency(accuracy[:2], accuracy[2:]) == pytest.approx(1, abs=0.2)
    assert np.isnan(walk_forward_efficiency(beyond[:2], beyond[2:], neutral=0))


def test_the_bootstrap_interval_of_a_shifted_figure_is_that_of_the_figure():
    validation, test = windows(0.53, seed=1), windows(0.52, seed=2)
    how = {"horizon": 1, "resampling": Resampling(0.95, 12, 500, seed=3)}
    shifted = wfe_interval([s - 0.5 for s in validation], [s - 0.5 for s in test], neutral=0.0, **how)
    plain = wfe_interval(validation, test, **how)
    assert (shifted.value, shifted.lower, shifted.upper) == pytest.approx((plain.value, plain.lower, plain.upper))


def test_a_bounded_set_ends_where_the_test_statistic_is_z():
    validation, test = windows(0.53, seed=1), windows(0.52, seed=2)
    found = fieller_set(validation, test, **POLICY)
    bottom, top = (sum(s.mean() - 0.5 for s in side) for side in (validation, test))
    v_bottom, v_top = (sum(mean_standard_error(s) ** 2 for s in side) for side in (validation, test))
    assert found.kind == "between"
    assert found.value == pytest.approx(top / bottom)
    assert found.value in found
    for end in (found.lower, found.upper):
        assert (top - end * bottom) ** 2 == pytest.approx(1.959964**2 * (v_top + end**2 * v_bottom))


def test_a_certain_validation_leaves_the_interval_of_the_test():
    test = windows(0.52, folds=1)
    found = fieller_set([np.full(60, 0.54)], test, **POLICY)
    reach = 1.959964 * mean_standard_error(test[0])
    centre = test[0].mean() - 0.5
    assert (found.lower, found.upper) == pytest.approx(((centre - reach) / 0.04, (centre + reach) / 0.04))


def test_a_validation_edge_that_may_be_zero_leaves_two_rays():
    found = fieller_set(windows(0.504, folds=1, seed=3), windows(0.56, seed=2), **POLICY)
    assert found.kind == "outside"
    assert found.value in found
    assert 0.0 not in found
    assert "below" in str(found)
    assert "or above" in str(found)


def test_two_edges_that_may_be_zero_leave_every_ratio():
    found = fieller_set(windows(0.503, folds=1, seed=3), windows(0.5, seed=2), **POLICY)
    assert (found.kind, str(found)) == ("every", "any ratio: both edges may be zero")
    assert 1e9 in found


@pytest.mark.parametrize("validation", [windows(0.48), [np.full(9, NAN)], [np.array([0.6])]])
def test_without_an_edge_or_figures_in_validation_the_set_is_undefined(validation):
    found = fieller_set(validation, windows(0.55, folds=len(validation)), **POLICY)
    assert (found.kind, str(found)) == ("undefined", "undefined")
    assert np.isnan(found.value)
    assert 1.0 not in found


def test_the_set_holds_the_true_ratio_about_as_often_as_it_says():
    held = [0.5 in fieller_set(windows(0.54, seed=2 * k), windows(0.52, seed=2 * k + 1), **POLICY) for k in range(400)]
    assert 0.90 <= np.mean(held) <= 0.98


def test_consistency_is_the_share_of_folds_with_an_edge():
    folds = [np.array([0.6, NAN]), np.array([0.4, 0.5]), np.array([0.5, 0.52]), np.array([NAN])]
    assert fold_consistency(folds) == 0.5
    assert fold_consistency([np.array([0.01]), np.array([-0.02])], neutral=0) == 0.5
    assert np.isnan(fold_consistency([]))


def test_the_overfitting_ratio_is_the_share_that_was_lost():
    assert overfitting_ratio([1.0, 3.0], [1.0, 0.0]) == pytest.approx(0.75)
    assert np.isnan(overfitting_ratio([-1.0, 0.5], [1.0, 1.0]))


def test_of_edges_the_overfitting_ratio_is_one_minus_the_efficiency():
    validation, test = [0.52, 0.54], [0.51, 0.52]
    lost = overfitting_ratio([v - 0.5 for v in validation], [t - 0.5 for t in test])
    assert lost == pytest.approx(1 - walk_forward_efficiency(validation, test))
