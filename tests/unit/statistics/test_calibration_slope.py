"""Slope and gap of calibration: a calibrated forecast has 1 and 0, and each fault has the value that it is known by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.data.panel import FloatArray
from foundry_tasks.statistics.block_means import BlockRule
from foundry_tasks.statistics.calibration_slope import calibration_gap, calibration_slope

RULE = BlockRule(confidence=0.95, min_blocks=12)
SESSIONS, TICKERS = 300, 400


def forecasts(spread: float, *, seed: int = 1) -> tuple[FloatArray, FloatArray]:
    """Logits of a calibrated forecast with this standard deviation within a session, and outcomes."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.3, (SESSIONS, 1)) + spread * rng.normal(size=(SESSIONS, TICKERS))
    return logits, (rng.random(logits.shape) < sigmoid(logits)).astype(float)


def sigmoid(logits: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(-logits))


def slope(p_up: FloatArray, up: FloatArray) -> float:
    return calibration_slope(p_up, up, horizon=1, rule=RULE).value


@pytest.mark.parametrize("spread", [0.2, 1.0, 3.0])
def test_a_calibrated_forecast_has_slope_one_at_any_dispersion(spread):
    logits, up = forecasts(spread)
    found = calibration_slope(sigmoid(logits), up, horizon=1, rule=RULE)
    assert found.value == pytest.approx(1, abs=0.05)
    assert found.lower < 1 < found.upper


@pytest.mark.parametrize(("factor", "expected"), [(2, 0.5), (5, 0.2), (-1, -1.0), (0.5, 2.0)])
def test_logits_that_are_k_fold_too_large_have_the_slope_one_over_k(factor, expected):
    logits, up = forecasts(0.1)
    mean = logits.mean(axis=1, keepdims=True)
    assert slope(sigmoid(mean + factor * (logits - mean)), up) == pytest.approx(expected, rel=0.15)


def test_a_forecast_that_is_drawn_anew_has_slope_zero():
    _, up = forecasts(0.2)
    found = calibration_slope(sigmoid(forecasts(0.2, seed=2)[0]), up, horizon=1, rule=RULE)
    assert found.lower < 0 < found.upper < 0.5


def test_sessions_in_which_the_whole_market_moves_do_not_change_the_slope():
    logits, up = forecasts(0.2)
    moved = sigmoid(logits + np.where(np.arange(SESSIONS) % 2, 0.5, -0.5)[:, None])
    assert slope(moved, up) == pytest.approx(slope(sigmoid(logits), up), rel=0.1)


def test_certain_forecasts_have_a_finite_slope():
    logits, up = forecasts(1.0)
    p_up = np.where(logits > 2, 1.0, np.where(logits < -2, 0.0, 0.5))
    assert 0 < slope(p_up, up) < 1


def test_without_dispersion_there_is_no_slope():
    _, up = forecasts(0.2)
    found = calibration_slope(np.full(up.shape, 0.6), up, horizon=1, rule=RULE)
    assert (np.isnan(found.value), found.blocks) == (True, 0)
    assert calibration_gap(np.full(up.shape, 0.6), up, horizon=1, rule=RULE).value == pytest.approx(up.mean() - 0.6)


def test_sessions_without_dispersion_are_left_out():
    logits, up = forecasts(0.2)
    p_up = sigmoid(logits)
    p_up[200:] = 0.5
    found, kept = calibration_slope(p_up, up, horizon=1, rule=RULE), slope(p_up[:200], up[:200])
    assert (found.value, found.blocks) == (pytest.approx(kept), 20)


@given(st.integers(0, 2**32 - 1))
def test_rows_without_forecast_or_label_are_left_out(seed):
    rng = np.random.default_rng(seed)
    p_up, up = rng.uniform(0.4, 0.6, (130, 8)), (rng.random((130, 8)) < 0.5).astype(float)
    for holed in (p_up, up):
        holed[:, 6] = np.nan
    p_up[::2, 7] = np.nan
    up[1::2, 7] = np.nan
    for figure in (calibration_slope, calibration_gap):
        whole, part = (figure(p_up[:, :last], up[:, :last], horizon=1, rule=RULE) for last in (8, 6))
        assert (whole.value, whole.lower, whole.upper) == pytest.approx((part.value, part.lower, part.upper))
