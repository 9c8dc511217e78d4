"""Target weights by hand, and properties for any forecast."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.evaluation.positions import target_weights

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
