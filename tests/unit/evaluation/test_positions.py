"""Target weights by hand, and properties for any forecast."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.config import BacktestConfig, PredictConfig
from foundry_tasks.evaluation.positions import suggested_positions, target_weights

NAN = float("nan")
SIZINGS = ("long_only", "long_short", "top_bottom", "probability")


def weights(row, sizing, names_a_side=1, member=None):
    p_up = np.array([row], dtype=float)
    inside = np.ones(p_up.shape, bool) if member is None else np.array([member])
    return target_weights(p_up, inside, BacktestConfig(sizing=sizing, names_a_side=names_a_side))[0]


def forecasts(seed, n_sessions=4, n_tickers=9):
    rng = np.random.default_rng(seed)
    p_up = np.round(0.5 + 0.1 * rng.normal(size=(n_sessions, n_tickers)), 1)  # with ties
    p_up[rng.random(p_up.shape) < 0.2] = NAN
    return p_up, rng.random(p_up.shape) < 0.9, rng


def test_long_only_gives_an_equal_part_to_every_ticker_above_one_half():
    assert weights([0.6, 0.51, 0.5, 0.4], "long_only") == pytest.approx([0.25, 0.25, 0, 0])


def test_an_always_long_forecast_holds_the_universe_in_equal_weights():
    assert weights([0.9, 0.7, 0.6, NAN], "long_only") == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


def test_long_short_goes_by_the_side_of_the_sessions_median():
    assert weights([0.9, 0.8, 0.7, 0.6, 0.55], "long_short") == pytest.approx([0.25, 0.25, 0, -0.25, -0.25])


def test_probability_weighs_by_the_distance_from_the_median_half_the_capital_a_side():
    assert weights([0.8, 0.6, 0.5, 0.4, 0.4], "probability") == pytest.approx([0.375, 0.125, 0, -0.25, -0.25])


def test_top_bottom_buys_the_highest_and_sells_the_lowest():
    assert weights([0.1, 0.5, 0.9, 0.7, 0.3], "top_bottom", 2) == pytest.approx([-0.25, 0, 0.25, 0.25, -0.25])


def test_tickers_that_tie_for_the_last_place_share_it():
    assert weights([0.9, 0.7, 0.7, 0.2, 0.1], "top_bottom", 2) == pytest.approx([0.25, 0.125, 0.125, -0.25, -0.25])


def test_few_tickers_are_bought_and_sold_in_equal_number():
    assert weights([0.9, 0.5, 0.1], "top_bottom", 10) == pytest.approx([0.5, 0, -0.5])
    assert weights([0.9, NAN, NAN], "top_bottom", 10) == pytest.approx([0, 0, 0])


@pytest.mark.parametrize("sizing", SIZINGS[1:])
def test_a_constant_forecast_is_no_position(sizing):
    assert not weights([0.7] * 6, sizing, 2).any()


@pytest.mark.parametrize("sizing", SIZINGS)
def test_no_score_and_no_membership_are_no_position(sizing):
    held = weights([0.9, 0.6, 0.2, 0.95, 0.99], sizing, 2, member=[True, True, True, True, False])
    assert held[4] == 0
    assert held[0] > 0
    assert not weights([NAN] * 5, sizing).any()


@pytest.mark.parametrize("sizing", SIZINGS)
@given(st.integers(0, 2**32 - 1))
def test_no_session_commits_more_than_the_capital(sizing, seed):
    p_up, member, _ = forecasts(seed)
    held = target_weights(p_up, member, BacktestConfig(sizing=sizing, names_a_side=3))
    assert (np.abs(held).sum(axis=1) <= 1 + 1e-12).all()
    assert (held[~(member & np.isfinite(p_up))] == 0).all()


@pytest.mark.parametrize("sizing", SIZINGS[1:])
@given(st.integers(0, 2**32 - 1))
def test_the_two_sided_sizings_are_dollar_neutral(sizing, seed):
    p_up, member, _ = forecasts(seed)
    held = target_weights(p_up, member, BacktestConfig(sizing=sizing, names_a_side=3))
    assert held.sum(axis=1) == pytest.approx(np.zeros(len(held)), abs=1e-12)


@pytest.mark.parametrize("sizing", SIZINGS)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_tickers_decides_nothing(sizing, seed):
    p_up, member, rng = forecasts(seed)
    order = rng.permutation(p_up.shape[1])
    config = BacktestConfig(sizing=sizing, names_a_side=3)
    permuted = target_weights(p_up[:, order], member[:, order], config)
    assert permuted == pytest.approx(target_weights(p_up, member, config)[:, order], abs=1e-12)


# ------------------------------------------------------------------ suggested positions
@st.composite
def promoted(draw):
    """P(up) of promoted horizons, their base rates, and a config."""
    n_horizons, n_tickers = draw(st.integers(1, 3)), draw(st.integers(1, 600))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    base_rate = rng.uniform(0.3, 0.7, n_horizons)
    spread = draw(st.sampled_from([0.001, 0.02, 0.3]))
    p_up = np.clip(base_rate[:, None] + spread * rng.normal(size=(n_horizons, n_tickers)), 0, 1)
    config = PredictConfig(max_position=draw(st.floats(0, 1)), kelly_fraction=draw(st.floats(0, 3)))
    return p_up, base_rate, config


@given(promoted())
def test_positions_never_exceed_the_capital_nor_one_of_them_its_bound(case):
    position = suggested_positions(*case)
    assert np.isfinite(position).all()
    assert np.abs(position).sum() <= 1 + 1e-12
    assert np.abs(position).max() <= case[2].max_position


def test_all_tickers_of_a_rising_market_are_held_with_no_more_than_the_capital():
    """505 tickers with 3 % each were 13 times the capital."""
    p_up = np.full((1, 505), 0.56)
    assert np.abs(suggested_positions(p_up, np.array([0.50]), PredictConfig())).sum() == pytest.approx(1)
    assert not suggested_positions(p_up, np.array([0.56]), PredictConfig()).any()


@given(promoted(), st.floats(-0.2, 0.2))
def test_the_drift_of_a_market_is_no_position(case, drift):
    p_up, base_rate, config = case
    moved = suggested_positions(p_up + drift, base_rate + drift, config)
    assert moved == pytest.approx(suggested_positions(p_up, base_rate, config), abs=1e-12)


@given(promoted())
def test_a_ticker_at_its_base_rate_is_no_position_and_the_other_side_of_it_the_opposite(case):
    p_up, base_rate, config = case
    assert not suggested_positions(np.broadcast_to(base_rate[:, None], p_up.shape), base_rate, config).any()
    opposite = suggested_positions(2 * base_rate[:, None] - p_up, base_rate, config)
    assert opposite == pytest.approx(-suggested_positions(p_up, base_rate, config), abs=1e-12)


@given(promoted())
def test_a_higher_probability_is_never_a_smaller_position(case):
    p_up, base_rate, config = case
    order = np.argsort(p_up.mean(axis=0), kind="stable")
    assert (np.diff(suggested_positions(p_up, base_rate, config)[order]) >= -1e-12).all()


def test_a_position_is_a_fraction_of_the_kelly_bet_on_the_mean_edge():
    p_up, config = np.array([[0.56, 0.5], [0.58, 0.5]]), PredictConfig(max_position=0.5, kelly_fraction=0.25)
    expected = [0.25 * 2 * (0.04 + 0.02) / 2, 0.25 * 2 * (-0.02 - 0.06) / 2]
    assert suggested_positions(p_up, np.array([0.52, 0.56]), config) == pytest.approx(expected)


def test_without_a_promoted_horizon_there_is_no_position():
    assert np.isnan(suggested_positions(np.empty((0, 4)), np.empty(0), PredictConfig())).all()


def test_a_ticker_without_a_forecast_has_no_position_and_leaves_those_of_the_others():
    p_up, base_rate = np.array([[0.6, NAN, 0.4]]), np.array([0.5])
    with_gap, without = (suggested_positions(p, base_rate, PredictConfig()) for p in (p_up, p_up[:, [0, 2]]))
    assert np.isnan(with_gap[1])
    assert with_gap[[0, 2]] == pytest.approx(without)
