"""Newey–West standard errors, compared with figures of statsmodels 0.15 (HAC, use_correction=False)."""

import numpy as np
import pytest

from foundry_tasks.statistics.newey_west import long_run_covariance, mean_standard_error, newey_west_lag

SERIES = 0.02 + 0.1 * np.sin(0.9 * np.arange(60))


def test_the_lag_is_the_rule_of_1994_and_covers_the_overlap_of_labels():
    assert [newey_west_lag(n) for n in (60, 100, 1000)] == [3, 4, 6]
    assert newey_west_lag(1000, horizon=20) == 38
    assert newey_west_lag(10, horizon=20) == 9
    assert newey_west_lag(0) == 0


@pytest.mark.parametrize(
    ("horizon", "error"), [(1, 0.0103599697), (3, 0.00777129530), (5, 0.00585224908), (20, 0.00345379716)]
)
def test_the_standard_error_of_a_mean_is_that_of_statsmodels(horizon, error):
    assert mean_standard_error(SERIES, horizon=horizon) == pytest.approx(error, rel=1e-8)


def test_two_lags_by_hand():
    moments = np.array([[1.0], [-2.0], [1.0]])
    expected = 6 / 3 + 2 * (2 / 3) * (-2 - 2) / 3 + 2 * (1 / 3) * 1 / 3
    assert long_run_covariance(moments, 2)[0, 0] == pytest.approx(expected)


def test_sessions_without_a_figure_are_left_out():
    gaps = np.insert(SERIES, [0, 30, 60], np.nan)
    assert mean_standard_error(gaps) == mean_standard_error(SERIES)
    assert np.isnan(mean_standard_error(np.array([0.1, np.nan])))


def test_overlapping_sums_have_a_wider_error_than_their_deviation_says():
    noise = np.random.default_rng(1).normal(size=5019)
    overlapping = np.convolve(noise, np.ones(20), mode="valid")
    naive = overlapping.std() / np.sqrt(len(overlapping))
    true = 20 / np.sqrt(5000)
    assert naive < 0.3 * true
    assert mean_standard_error(overlapping, horizon=20) == pytest.approx(0.91 * true, rel=0.15)  # with Bartlett weights
