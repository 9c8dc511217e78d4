"""The figures behind the plots, compared with values calculated by hand."""

import numpy as np
import pytest

from foundry_tasks.report.report_inputs import Forecasts
from foundry_tasks.report.session_figures import (
    chance_band,
    cumulative,
    numbers,
    reliability_bins,
    rolling_mean,
    session_figures,
)

NAN = float("nan")


def forecasts(p_up: np.ndarray, up: np.ndarray) -> Forecasts:
    sessions = np.arange(np.datetime64("2024-01-01"), np.datetime64("2024-01-01") + len(p_up))
    return Forecasts(sessions, p_up, np.full_like(p_up, 0.5), up, {"close": up - 0.5}, [len(p_up)])


def test_the_rolling_mean_leaves_missing_sessions_out():
    assert rolling_mean(np.array([1.0, NAN, 3.0, 5.0]), 2).tolist() == pytest.approx([1.0, 1.0, 3.0, 4.0])


def test_the_rolling_mean_is_undefined_until_half_a_window_is_known():
    assert numbers(rolling_mean(np.array([1.0, 2.0, 3.0, 4.0]), 4)) == (None, 1.5, 2.0, 2.5)


def test_a_missing_session_adds_nothing_to_a_running_sum_and_breaks_the_line():
    assert numbers(cumulative(np.array([0.1, NAN, 0.2]))) == (0.1, None, 0.3)


def test_the_chance_band_of_independent_sessions_grows_with_the_root_of_time():
    series = np.random.default_rng(1).normal(0.0, 0.1, 20_000)
    band = chance_band(series, 1)
    assert band[-1] / band[len(series) // 4 - 1] == pytest.approx(2.0)
    assert band[0] == pytest.approx(1.96 * 0.1, rel=0.1)


def test_the_chance_band_knows_that_neighbouring_sessions_overlap():
    noise = np.random.default_rng(2).normal(size=5_000)
    overlapping = np.convolve(noise, np.ones(20) / 20, mode="same")
    independent = np.random.default_rng(3).normal(0.0, overlapping.std(), 5_000)
    assert chance_band(overlapping, 20)[-1] > 3 * chance_band(independent, 20)[-1]


def test_too_few_sessions_have_no_chance_band():
    assert np.isnan(chance_band(np.ones(50), 20)).all()


def test_reliability_says_what_was_forecast_and_what_came():
    rng = np.random.default_rng(4)
    p_up = rng.uniform(0.3, 0.7, (300, 50))
    up = (rng.uniform(size=p_up.shape) < p_up).astype(float)
    bins = reliability_bins(forecasts(p_up, up), 1)
    assert len(bins) == 10
    assert sum(item.rows for item in bins) == p_up.size
    assert all(abs(item.share_up - item.p_up) < 0.05 for item in bins)
    assert all(item.lower < item.share_up < item.upper for item in bins)


def test_forecasts_without_a_label_have_no_reliability():
    p_up = np.full((30, 4), 0.5)
    assert reliability_bins(forecasts(p_up, np.full_like(p_up, NAN)), 1) == []


def test_an_entry_whose_prices_are_absent_is_not_drawn():
    p_up = np.random.default_rng(5).uniform(size=(40, 6))
    made = forecasts(p_up, (p_up > 0.5).astype(float))
    made = Forecasts(made.sessions, p_up, p_up, made.up, {"close": p_up, "next_open": np.full_like(p_up, NAN)}, [40])
    assert list(session_figures(made, 1).cumulative_rank_ic) == ["close"]
