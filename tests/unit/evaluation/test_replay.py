"""A replay sizes each session's forecasts in that session, and reports where it differs from the backtest."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.forward_simulator import ForwardSimulator
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.evaluation.replay import ReplayedForecasts, largest_difference
from foundry_tasks.evaluation.simulated_exchange import Day
from tests.traded_market import market, random_market

FIRST = 20


def day(session, **figures):
    zeros = dict.fromkeys([name for name in Day.__dataclass_fields__ if name != "session"], 0)
    return Day(session, **{**zeros, **figures})


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["long_only", "long_short", "top_bottom", "probability"]))
def test_forecasts_sized_one_session_at_a_time_are_those_sized_at_once(seed, sizing):
    prices, p_up = random_market(seed)
    config = BacktestConfig(sizing=sizing, names_a_side=2)
    targets = np.zeros(p_up.shape)
    targets[FIRST:] = target_weights(p_up[FIRST:], prices.member[FIRST:], config)
    expected = run_backtest(prices, targets, config, horizon=5)
    strategy = ReplayedForecasts(p_up[FIRST:], FIRST, config)
    days = ForwardSimulator(prices, strategy, config, horizon=5, first_session=FIRST).run()
    daily = {"net": expected.net, "turnover": expected.holdings.turnover}
    assert largest_difference(days, daily, ["net", "turnover"]).agrees


def test_before_the_first_forecast_and_after_the_last_nothing_is_wanted():
    prices = market(np.ones((5, 2)))
    strategy = ReplayedForecasts(np.array([[0.6, 0.4]]), 2, BacktestConfig(sizing="long_short"))
    wanted = [strategy.targets(prices.up_to(sessions)).tolist() for sessions in range(1, 6)]
    assert wanted == [[0, 0], [0, 0], [0.5, -0.5], [0, 0], [0, 0]]


def test_the_largest_difference_names_its_figure_and_its_session():
    days = [day("2024-01-02", net=0.01), day("2024-01-03", net=0.02, turnover=0.5)]
    daily = {"net": np.array([0.01, 0.021]), "turnover": np.array([0.0, 0.3])}
    found = largest_difference(days, daily, ["net", "turnover"])
    assert asdict(found) == {"value": pytest.approx(0.2), "figure": "turnover", "session": "2024-01-03"}
    assert not found.agrees


def test_rounding_is_agreement():
    assert largest_difference([day("2024-01-02", net=0.01)], {"net": np.array([0.01 + 1e-12])}, ["net"]).agrees


def test_what_is_not_a_number_agrees_with_nothing():
    assert not largest_difference([day("2024-01-02", net=0.01)], {"net": np.array([np.nan])}, ["net"]).agrees
