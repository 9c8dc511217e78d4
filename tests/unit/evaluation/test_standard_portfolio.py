"""The standard portfolio: one fixed way to trade any scores."""

import numpy as np
import pytest

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.evaluation.standard_portfolio import standard_pnl, standard_rules
from tests.traded_market import market, random_market


@pytest.mark.parametrize(("n_tickers", "names"), [(4, 1), (40, 4), (505, 50), (3000, 50)])
def test_a_tenth_of_the_universe_is_held_a_side_and_never_more_than_fifty(n_tickers, names):
    assert standard_rules(market(np.ones((2, n_tickers)))).names_a_side == names


def test_prices_without_an_open_are_traded_at_the_close():
    close = np.ones((2, 4))
    assert standard_rules(market(close)).entry == "next_close"
    assert standard_rules(market(close, open=close)).entry == "next_open"


def test_it_earns_from_the_session_after_the_first_score_to_the_one_after_the_last():
    prices, scores = random_market(0)
    found = standard_pnl(prices, scores[20:50], first_session=20, horizon=1)
    assert (found.sessions == prices.sessions[21:51]).all()


def test_scores_of_the_last_session_there_is_earn_nothing_yet():
    prices, scores = random_market(0)
    found = standard_pnl(prices, scores[20:], first_session=20, horizon=1)
    assert (found.sessions == prices.sessions[21:]).all()


@pytest.mark.parametrize("horizon", [1, 5])
def test_it_is_the_backtest_of_the_default_config_on_a_tenth(horizon):
    prices, scores = random_market(1)
    config = BacktestConfig(names_a_side=1)
    weights = np.where(np.arange(len(scores))[:, None] >= 30, target_weights(scores, prices.member, config), 0.0)
    expected = run_backtest(prices, weights, config, horizon=horizon).net[31:]
    found = standard_pnl(prices, scores[30:], first_session=30, horizon=horizon)
    np.testing.assert_array_equal(found.pnl, expected)


def test_scores_that_never_differ_hold_nothing_and_have_a_sharpe_ratio_of_zero():
    prices, scores = random_market(2, gaps=False)
    found = standard_pnl(prices, np.full(scores.shape, 0.6), first_session=0, horizon=1)
    assert not found.pnl.any()
    assert found.sharpe == 0.0
