"""Metrics against hand-computed values and a second library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import log_loss, roc_auc_score

from foundry_tasks.evaluation import metrics

NAN = float("nan")


def test_auc_of_one_session_by_hand():
    scores = np.array([[0.1, 0.4, 0.35, 0.8]])
    labels = np.array([[0.0, 0.0, 1.0, 1.0]])
    assert metrics.session_auc(scores, labels) == pytest.approx([0.75])


def test_ties_count_half():
    assert metrics.session_auc(np.array([[1.0, 1.0]]), np.array([[0.0, 1.0]])) == pytest.approx([0.5])


def test_a_session_of_one_class_has_no_auc():
    assert np.isnan(metrics.session_auc(np.array([[0.1, 0.2]]), np.array([[1.0, 1.0]]))).all()


def test_a_row_without_label_does_not_count():
    scores, labels = np.array([[0.1, 0.4, 0.9]]), np.array([[0.0, 1.0, NAN]])
    assert metrics.session_auc(scores, labels) == pytest.approx([1.0])


@given(st.integers(0, 2**32 - 1))
def test_auc_equals_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    scores, labels = np.round(rng.normal(size=(3, 40)), 1), (rng.random((3, 40)) > 0.4).astype(float)
    expected = [roc_auc_score(y, s) for s, y in zip(scores, labels, strict=True)]
    assert metrics.session_auc(scores, labels) == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1))
def test_rank_ic_equals_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    scores, returns = rng.normal(size=(3, 25)), rng.normal(size=(3, 25))
    expected = [spearmanr(s, r).statistic for s, r in zip(scores, returns, strict=True)]
    assert metrics.session_rank_ic(scores, returns) == pytest.approx(expected)


def test_spread_and_brier_by_hand():
    p, y = np.array([[0.4, 0.6, NAN]]), np.array([[0.0, 1.0, 1.0]])
    assert metrics.session_dispersion(p) == pytest.approx([0.1])
    assert metrics.session_brier(p, y) == pytest.approx([0.16])


def test_hit_rate_is_relative_to_the_median_so_a_constant_forecast_has_none():
    labels = np.array([[1.0, 0.0, 1.0, 0.0]])
    assert metrics.session_hit_rate(np.array([[4.0, 3.0, 2.0, 1.0]]), labels) == pytest.approx([0.5])
    assert np.isnan(metrics.session_hit_rate(np.full((1, 4), 0.7), labels)).all()


def test_accuracy_of_an_always_long_forecast_is_the_base_rate():
    assert metrics.session_accuracy(np.full((1, 4), 0.7), np.array([[1.0, 1.0, 1.0, 0.0]])) == pytest.approx([0.75])


@given(st.integers(0, 2**32 - 1))
def test_rank_metrics_ignore_a_rising_transformation(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.normal(size=(4, 20)), (rng.random((4, 20)) > 0.5).astype(float)
    assert metrics.session_auc(np.exp(scores), labels) == pytest.approx(
        metrics.session_auc(scores, labels), nan_ok=True
    )


@given(st.integers(0, 2**32 - 1))
def test_log_loss_equals_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    p, y = np.round(rng.random((3, 30)), 1), (rng.random((3, 30)) > 0.4).astype(float)
    expected = [log_loss(labels, scores, labels=[0, 1]) for labels, scores in zip(y, p, strict=True)]
    assert metrics.session_log_loss(p, y) == pytest.approx(expected)


def test_log_loss_by_hand():
    p, y = np.array([[0.5, 0.25, NAN], [NAN, NAN, NAN]]), np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    assert metrics.session_log_loss(p, y) == pytest.approx([-(np.log(0.5) + np.log(0.75)) / 2, NAN], nan_ok=True)


def test_a_certain_mistake_costs_a_finite_log_loss():
    assert metrics.session_log_loss(np.array([[1.0]], dtype=np.float32), np.array([[0.0]])) == pytest.approx(
        [36.04], abs=0.01
    )


def test_brier_skill_by_hand():
    p, base, y = np.array([[0.8, 0.4]]), np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    assert metrics.brier_skill(p, base, y) == pytest.approx(1 - 0.1 / 0.25)
    assert metrics.brier_skill(base, base, y) == 0


def test_brier_skill_compares_only_rows_with_both_forecasts():
    p, base, y = np.array([[0.8, 0.4, 0.0]]), np.array([[0.5, 0.5, NAN]]), np.array([[1.0, 0.0, 1.0]])
    assert metrics.brier_skill(p, base, y) == pytest.approx(1 - 0.1 / 0.25)


def test_a_base_rate_that_was_always_right_leaves_no_skill_to_show():
    assert np.isnan(metrics.brier_skill(np.array([[0.9]]), np.array([[1.0]]), np.array([[1.0]])))
    assert np.isnan(metrics.brier_skill(np.array([[NAN]]), np.array([[0.5]]), np.array([[1.0]])))


def test_the_icir_and_its_t_are_those_of_statsmodels():
    ic = 0.02 + 0.1 * np.sin(0.9 * np.arange(60))
    found = metrics.information_coefficient(np.append(ic, NAN), horizon=3)
    assert found.mean == pytest.approx(ic.mean())
    assert found.icir == pytest.approx(ic.mean() / ic.std(ddof=1))
    assert (found.t, found.lag) == pytest.approx((3.03957783, 4))


@pytest.mark.parametrize("ic", [[], [0.1], [0.1, 0.1, 0.1]])
def test_an_ic_that_never_changes_has_no_t(ic):
    found = metrics.information_coefficient(np.array(ic), horizon=1)
    assert np.isnan(found.icir)
    assert np.isnan(found.t)
