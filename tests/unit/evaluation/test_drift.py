"""Drift: the index by hand, and no alarm for usual changes of a slow feature."""

import numpy as np
import pytest

from foundry_tasks.evaluation.drift import Drift, reference_of, stability_index

NAN = float("nan")


def test_the_index_by_hand():
    expected = 0.3 * np.log(0.8 / 0.5) + -0.3 * np.log(0.2 / 0.5)
    assert stability_index([50, 50], [8, 2]) == pytest.approx(expected)


def test_equal_shares_are_no_drift_whatever_the_counts():
    assert stability_index([10, 30, 60], [1, 3, 6]) == 0


def test_an_empty_bin_is_finite_and_an_empty_histogram_undefined():
    assert 5 < stability_index([0, 100], [100, 0]) < 50
    assert np.isnan(stability_index([0, 0], [1, 2]))


def feature_drift(values, rows, *, fitted, recent):
    return reference_of(values[:fitted], rows[:fitted], recent=recent).drift(values[-recent:], rows[-recent:])


def panel(rng, n_sessions=600, n_tickers=40):
    return rng.normal(size=(n_sessions, n_tickers)), np.ones((n_sessions, n_tickers), bool)


def test_noise_does_not_drift():
    values, rows = panel(np.random.default_rng(1))
    found = feature_drift(values, rows, fitted=540, recent=60)
    assert found.psi < 0.05
    assert not found.beyond(0.25)


def test_a_shift_of_one_deviation_does():
    values, rows = panel(np.random.default_rng(2))
    values[-60:] += 1
    found = feature_drift(values, rows, fitted=540, recent=60)
    assert found.psi > 0.5 > found.usual
    assert found.beyond(0.25)


def test_missing_values_are_a_bin_of_their_own():
    values, rows = panel(np.random.default_rng(3))
    values[-60:, :20] = NAN
    assert feature_drift(values, rows, fitted=540, recent=60).beyond(0.25)


def test_rows_that_do_not_count_are_not_missing():
    values, rows = panel(np.random.default_rng(4))
    values[-60:, :20] = NAN
    rows[-60:, :20] = False
    assert feature_drift(values, rows, fitted=540, recent=60).psi < 0.05


def test_a_slow_feature_of_the_whole_market_has_a_large_index_that_is_usual():
    slow = np.cumsum(np.random.default_rng(5).normal(size=1300)) * 0.1
    slow = np.sin(np.arange(1300) / 90 + 1) + 0.05 * slow / np.abs(slow).max()
    values = np.repeat(slow[:, None], 30, axis=1)
    found = feature_drift(values, np.ones_like(values, bool), fitted=1240, recent=60)
    assert found.psi > 0.25
    assert found.usual > found.psi
    assert not found.beyond(0.25)


def test_with_few_earlier_windows_the_threshold_alone_decides():
    assert Drift(0.3, NAN).beyond(0.25)
    assert not Drift(0.2, NAN).beyond(0.25)
    assert not Drift(NAN, NAN).beyond(0.25)
    values, rows = panel(np.random.default_rng(6), n_sessions=200)
    assert np.isnan(feature_drift(values, rows, fitted=140, recent=60).usual)


def test_a_feature_that_never_varies_and_one_that_never_is_do_not_drift():
    values, rows = panel(np.random.default_rng(7))
    assert feature_drift(np.zeros_like(values), rows, fitted=540, recent=60).psi == 0
    assert feature_drift(np.full_like(values, NAN), rows, fitted=540, recent=60).psi == 0
