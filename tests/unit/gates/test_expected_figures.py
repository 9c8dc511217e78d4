"""Expected figures from μ, σ and IC, compared with a simulation of the same market."""

from statistics import NormalDist

import numpy as np
import pytest

from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.wfe import walk_forward_efficiency
from foundry_tasks.gates.expected_figures import Signal, expected_against_observed

SIGNAL = Signal(mean_return=0.002, deviation=0.02, ic=0.05, horizon=1, breadth=60)


def market(signal, sessions, seed=0):
    """Scores, calibrated P(up) and returns, each (sessions, breadth), of the model's market."""
    rng = np.random.default_rng(seed)
    z, noise = rng.normal(size=(2, sessions, int(signal.breadth)))
    rest = np.sqrt(1 - signal.ic**2)
    returns = signal.mean_return + signal.deviation * (signal.ic * z + rest * noise)
    argument = (signal.mean_return / signal.deviation + signal.ic * z) / rest
    return z, np.vectorize(NormalDist().cdf)(argument), returns


def above_median(returns):
    return (returns > np.median(returns, axis=1, keepdims=True)).astype(float)


Z, P_UP, RETURNS = market(SIGNAL, 2000)
UP = (RETURNS > 0).astype(float)


def test_a_regressor_of_drifting_stocks_is_nearly_always_positive():
    stock = Signal(mean_return=0.001, deviation=0.018, ic=0.02, horizon=1, breadth=500)
    assert stock.return_dispersion == pytest.approx(0.00036)
    assert stock.share_positive == pytest.approx(0.997, abs=5e-4)


def test_the_spread_of_p_up_is_the_one_of_the_spread_gate():
    b = SIGNAL.base_rate
    assert SIGNAL.p_up_dispersion == pytest.approx(2 * np.sqrt(np.pi) * b * (1 - b) * (SIGNAL.auc - 0.5))


def test_spread_share_and_auc_are_those_of_simulated_forecasts():
    assert metrics.session_dispersion(P_UP).mean() == pytest.approx(SIGNAL.p_up_dispersion, rel=0.02)
    assert (P_UP > 0.5).mean() == pytest.approx(SIGNAL.share_positive, abs=0.005)
    assert (P_UP.mean(), UP.mean()) == pytest.approx((SIGNAL.base_rate, SIGNAL.base_rate), abs=0.005)
    assert metrics.session_auc(P_UP, UP).mean() == pytest.approx(SIGNAL.auc, abs=0.004)
    assert metrics.session_hit_rate(Z, above_median(RETURNS)).mean() == pytest.approx(
        SIGNAL.relative_accuracy, abs=0.004
    )


def test_the_deviation_of_a_mean_auc_is_that_of_simulated_ones():
    means = metrics.session_auc(P_UP, UP).reshape(200, 10).mean(axis=1)
    assert means.std(ddof=1) == pytest.approx(SIGNAL.auc_deviation(10), rel=0.15)


def test_labels_that_overlap_leave_fewer_sessions():
    overlapping = Signal(0.002, 0.02, 0.05, horizon=20, breadth=60)
    assert overlapping.auc_deviation(1000) == pytest.approx(SIGNAL.auc_deviation(50))


def test_the_wfe_range_holds_simulated_efficiencies_about_as_often_as_it_says():
    accuracy = metrics.session_hit_rate(Z, above_median(RETURNS))
    lower, upper = SIGNAL.wfe_range([20, 20], [30, 30], confidence=0.9)
    held = []
    for part in np.random.default_rng(1).permutation(2000).reshape(20, 100):
        v1, v2, t1, t2 = np.split(accuracy[part], [20, 40, 70])
        ratio = walk_forward_efficiency([v1.mean(), v2.mean()], [t1.mean(), t2.mean()])
        held.append(lower <= ratio <= upper)
    assert np.mean(held) >= 0.75
    assert lower < 1 < upper


def test_few_sessions_of_few_tickers_allow_any_efficiency():
    lower, upper = Signal(0.0, 0.02, 0.01, horizon=20, breadth=5).wfe_range([63], [150], confidence=0.95)
    assert (lower, upper) == (-np.inf, np.inf)


def test_the_signal_is_found_again_in_its_market():
    found = Signal.of(Z, RETURNS, horizon=1)
    assert found.ic == pytest.approx(0.05, abs=0.006)
    assert found.mean_return == pytest.approx(0.002, abs=2e-4)
    assert found.deviation == pytest.approx(0.02, rel=0.02)
    assert found.breadth == pytest.approx(60, rel=0.1)


def test_tickers_that_move_in_tens_count_as_one_of_ten():
    in_tens = Signal(0.0, 0.02, 0.0, horizon=1, breadth=12)
    z, _, returns = (np.repeat(matrix, 10, axis=1) for matrix in market(in_tens, 2000, seed=1))
    assert Signal.of(z, returns, horizon=1).breadth == pytest.approx(12, rel=0.1)
    means = metrics.session_auc(z, (returns > 0).astype(float)).reshape(200, 10).mean(axis=1)
    assert means.std(ddof=1) == pytest.approx(in_tens.auc_deviation(10), rel=0.15)


def test_a_score_without_a_return_says_nothing_about_the_signal():
    known = Z < 1
    assert Signal.of(Z, np.where(known, RETURNS, np.nan), horizon=1) == Signal.of(
        np.where(known, Z, np.nan), RETURNS, horizon=1
    )


def test_expected_and_observed_agree_on_an_honest_forecast():
    accuracy = np.split(metrics.session_hit_rate(P_UP, above_median(RETURNS)), 4)
    rows = expected_against_observed(
        P_UP, RETURNS, validation_relative=accuracy[:2], test_relative=accuracy[2:], horizon=1, confidence=0.99
    )
    by_name = {row.name: row for row in rows}
    assert by_name["spread of return forecasts"].observed is None
    assert (by_name["independent tickers"].expected, by_name["independent tickers"].observed) == (
        60,
        pytest.approx(60, rel=0.1),
    )
    for name in ("spread of P(up)", "share of P(up) above ½", "standard deviation of the mean AUC"):
        assert by_name[name].observed == pytest.approx(by_name[name].expected, rel=0.2)
    for name in ("mean AUC per session", "WFE relative to the median"):
        assert by_name[name].lower < by_name[name].observed < by_name[name].upper


def rows_of(p_up):
    accuracy = np.split(metrics.session_hit_rate(p_up, above_median(RETURNS)), 4)
    return {
        row.name: row
        for row in expected_against_observed(
            p_up, RETURNS, validation_relative=accuracy[:2], test_relative=accuracy[2:], horizon=1, confidence=0.95
        )
    }


def test_a_collapse_shows_as_a_spread_far_below_the_expected_one():
    spread = rows_of(0.54 + 1e-4 * Z)["spread of P(up)"]
    assert spread.observed < 0.01 * spread.expected


def test_a_constant_forecast_has_no_expectation_and_no_spread():
    rows = rows_of(np.full_like(P_UP, 0.54))
    assert rows["mean AUC per session"].expected is None
    assert rows["spread of P(up)"].observed == pytest.approx(0, abs=1e-12)
    assert rows["WFE relative to the median"].observed is None


def test_a_forecast_that_points_the_wrong_way_is_expected_to_have_no_spread():
    wrong = Signal(0.001, 0.02, ic=-0.03, horizon=1, breadth=60)
    assert (wrong.return_dispersion, wrong.p_up_dispersion, wrong.share_positive) == (0.0, 0.0, 1.0)


def test_without_returns_there_is_nothing_to_compare():
    nothing = np.full_like(P_UP, np.nan)
    assert (
        expected_against_observed(P_UP, nothing, validation_relative=[], test_relative=[], horizon=1, confidence=0.95)
        == ()
    )
