import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from foundry_tasks.contract.config import MIN_DENOISED_SESSIONS
from foundry_tasks.models.deep.wavelet import WaveletDenoiser, a_trous_haar

STEPS = 20


def denoised(windows, mask=None):
    mask = None if mask is None else ops.convert_to_tensor(mask)
    return ops.convert_to_numpy(WaveletDenoiser()(windows.astype("float32"), mask=mask))


def windows(series):
    """Windows by last session, shape (n − steps + 1, steps, 1)."""
    return np.lib.stride_tricks.sliding_window_view(series, STEPS)[..., None]


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_smooth_and_details_add_up_to_the_series_and_look_back_alone(levels):
    smooth, details = a_trous_haar(STEPS, levels)
    np.testing.assert_allclose(smooth + sum(details), np.eye(STEPS), atol=1e-6)
    for matrix in (smooth, *details):
        assert not np.triu(matrix, 1).any()


def test_a_constant_stays_what_it_is():
    np.testing.assert_allclose(denoised(np.full((1, STEPS, 2), 3.0)), 3, atol=1e-5)


def test_noise_around_a_level_is_mostly_gone():
    noise = np.random.default_rng(0).normal(size=(200, STEPS, 1))
    assert denoised(5 + noise)[:, 4:].std() < 0.6


def test_a_jump_stays_a_jump():
    jump = np.repeat([0.0, 10.0], STEPS // 2)[None, :, None]
    assert denoised(jump)[0, -4:].min() > 9


def test_masked_steps_stay_nothing():
    x, mask = np.ones((1, STEPS, 1)), np.arange(STEPS)[None] >= 5
    x[:, :5] = 0
    assert not denoised(x, mask)[:, :5].any()


@settings(max_examples=20)
@given(seed=st.integers(0, 999), cut=st.integers(STEPS, 40))
def test_whatever_comes_after_a_window_changes_nothing(seed, cut):
    random = np.random.default_rng(seed)
    series = random.normal(size=50).cumsum()
    other = np.concatenate([series[:cut], random.normal(100, 10, size=50 - cut)])
    until = cut - STEPS + 1
    np.testing.assert_array_equal(denoised(windows(series))[:until], denoised(windows(other))[:until])


def accuracy(forecast, outcome):
    return (np.sign(forecast) == np.sign(outcome)).mean()


def test_it_forecasts_no_random_walk_and_a_look_ahead_would_show():
    walk = np.random.default_rng(1).normal(size=20_000).cumsum()
    smooth = denoised(windows(walk))[..., 0]
    last = np.arange(STEPS - 1, len(walk))
    outcome = np.diff(walk)[last[:-1]]
    # The window's trend and the reversion to it, at its end. Four standard errors of 20,000 coin tosses are 0.014.
    for forecast in (smooth[:-1, -1] - smooth[:-1, -2], smooth[:-1, -1] - walk[last[:-1]]):
        assert abs(accuracy(forecast, outcome) - 0.5) < 0.014
    assert accuracy(smooth[1:, -1] - smooth[:-1, -1], outcome) > 0.6


def test_a_window_too_short_for_its_levels_is_refused():
    with pytest.raises(ValueError, match="2 wavelet levels need at least 4 steps, got 3"):
        WaveletDenoiser().build((None, 3, 1))


def test_the_config_asks_for_the_window_that_the_denoiser_needs():
    assert 2 ** WaveletDenoiser().levels == MIN_DENOISED_SESSIONS
