"""The moving-block bootstrap and the walk-forward efficiency."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.config import PortfolioConfig
from foundry_tasks.evaluation.wfe import walk_forward_efficiency, wfe_interval
from foundry_tasks.statistics.bootstrap import Resampling, resampled_means
from foundry_tasks.statistics.calibration_error import calibration_error_interval, reliability

RESAMPLING = Resampling(confidence=0.95, resamples=1000, min_blocks=12, seed=1)


def test_a_stage_says_how_its_intervals_are_made():
    config = PortfolioConfig(confidence=0.9, resamples=300, min_blocks=5, seed=11)
    assert Resampling.of(config, config.seed) == Resampling(confidence=0.9, resamples=300, min_blocks=5, seed=11)
    assert Resampling.of(config, 0).levels == pytest.approx((0.05, 0.95))


def test_a_constant_series_has_no_spread():
    means = resampled_means(np.full(200, 0.3), block=10, resamples=50, rng=np.random.default_rng(0))
    assert means == pytest.approx(np.full(50, 0.3))


def test_efficiency_is_a_ratio_of_sums():
    assert walk_forward_efficiency([0.52, 0.54], [0.51, 0.52]) == pytest.approx(0.03 / 0.06)


@pytest.mark.parametrize("validation", [[0.5, 0.5], [0.48, 0.51], [0.5004, 0.5004]])
def test_efficiency_without_an_edge_in_validation_is_undefined(validation):
    assert np.isnan(walk_forward_efficiency(validation, [0.55, 0.55]))


def test_an_interval_that_reaches_into_the_undefined_says_so_by_infinity():
    rng = np.random.default_rng(0)
    noise = [rng.normal(0.502, 0.05, 60) for _ in range(5)]
    interval = wfe_interval(noise, noise, horizon=1, resampling=RESAMPLING)
    assert np.isinf(interval.lower) or np.isinf(interval.upper)


@given(st.integers(0, 2**32 - 1))
def test_reliability_counts_every_row_once(seed):
    rng = np.random.default_rng(seed)
    p, y = rng.random((7, 30)), (rng.random((7, 30)) > 0.5).astype(float)
    p[rng.random(p.shape) < 0.2] = np.nan
    forecast, outcome, count = reliability(p, y)
    known = np.isfinite(p)
    assert count.sum() == known.sum()
    assert forecast.sum() == pytest.approx(p[known].sum())
    assert outcome.sum() == pytest.approx(y[known].sum())


def test_a_calibrated_forecast_has_an_error_interval_that_reaches_zero_and_a_shifted_one_does_not():
    rng = np.random.default_rng(2)
    p = rng.uniform(0.4, 0.6, (300, 100))
    y = (rng.random(p.shape) < p).astype(float)
    honest = calibration_error_interval(p, y, horizon=1, resampling=RESAMPLING)
    shifted = calibration_error_interval(p + 0.1, y, horizon=1, resampling=RESAMPLING)
    assert honest.lower < 0.005
    assert shifted.lower > 0.08
    assert shifted.value == pytest.approx(0.1, abs=0.01)
