"""The standard portfolio: one fixed way to trade any scores."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.artifacts import digest_of
from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.standard_portfolio import STANDARD_PORTFOLIO
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.costs import BP
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.evaluation.standard_portfolio import (
    first_tradable_entry,
    open_share,
    standard_pnl,
    standard_rules,
    standard_trades,
)
from tests.traded_market import market, random_market


@pytest.mark.parametrize(("n_tickers", "names"), [(4, 1), (40, 4), (505, 50), (3000, 50)])
def test_a_tenth_of_the_universe_is_held_a_side_and_never_more_than_fifty(n_tickers, names):
    assert standard_rules(n_tickers, "next_open").names_a_side == names


def test_its_rules_are_the_default_ones_of_a_backtest():
    assert standard_rules(500, "next_open") == BacktestConfig()


def test_every_rule_changes_the_digest():
    plain = STANDARD_PORTFOLIO.plain()
    digests = {digest_of(replace(STANDARD_PORTFOLIO, **{name: value * 2}).plain()) for name, value in plain.items()}
    assert len(digests | {digest_of(plain)}) == len(plain) + 1


def test_prices_without_an_open_are_traded_at_the_close():
    close = np.ones((3, 4))
    found = {
        standard_trades(prices, close[:2], first_session=0, horizon=1).entry: open_share(prices, close[:2], 0)
        for prices in (market(close), market(close, open=close))
    }
    assert found == {"next_close": 0.0, "next_open": 1.0}


@pytest.mark.parametrize(
    ("missing", "entry"), [(0, "next_open"), (5, "next_open"), (6, "next_close"), (100, "next_close")]
)
def test_the_next_open_is_an_entry_if_95_percent_of_the_forecasts_have_one(missing, entry):
    """The opens of the first session, which no forecast trades at, and those of tickers outside the universe do not count."""
    close = np.ones((11, 12))
    opened, member = close.copy(), np.arange(12) < np.full((11, 1), 10)
    opened[0], opened[:, 10:] = np.nan, np.nan
    holes = opened[1:, :10].copy()
    holes.flat[:missing] = np.nan
    opened[1:, :10] = holes
    prices, scores = market(close, open=opened, member=member), np.ones((11, 12))
    assert open_share(prices, scores, 0) == pytest.approx(1 - missing / 100)
    assert first_tradable_entry(open_share(prices, scores, 0)) == entry
    assert standard_trades(prices, scores, first_session=0, horizon=1).entry == entry


def test_a_ticker_without_a_forecast_needs_no_open():
    close = np.ones((4, 4))
    opened = np.where(np.arange(4) < 3, close, np.nan)
    assert open_share(market(close, open=opened), np.where(np.isfinite(opened), 0.5, np.nan), 0) == 1.0


@given(st.integers(0, 30), st.sampled_from([1, 5]))
def test_at_the_break_even_cost_its_mean_pnl_is_zero(seed, horizon):
    prices, scores = random_market(seed)
    found = standard_trades(prices, scores[10:], first_session=10, horizon=horizon)
    assert (found.before_costs - found.break_even_bp * BP * found.turnover).mean() == pytest.approx(0, abs=1e-12)
    assert found.break_even_by_session.mean() == pytest.approx(found.break_even_bp)
    after = found.before_costs - STANDARD_PORTFOLIO.cost_bp * BP * found.turnover
    np.testing.assert_allclose(after, found.daily.pnl, atol=1e-15)
    assert (found.break_even_bp > STANDARD_PORTFOLIO.cost_bp) == (found.daily.pnl.mean() > 0)


def test_the_standard_error_of_the_break_even_cost_is_that_of_the_ratio():
    """Against 4,000 resamples of the sessions."""
    prices, scores = random_market(3, n_sessions=400, gaps=False)
    found, rng = standard_trades(prices, scores, first_session=0, horizon=1), np.random.default_rng(0)
    rows = rng.integers(0, len(found.turnover), (4000, len(found.turnover)))
    ratios = found.before_costs[rows].sum(axis=1) / found.turnover[rows].sum(axis=1) / BP
    series = found.break_even_by_session
    assert series.std() / np.sqrt(len(series)) == pytest.approx(ratios.std(), rel=0.05)


def test_scores_that_never_differ_have_no_break_even_cost():
    prices, scores = random_market(2, gaps=False)
    found = standard_trades(prices, np.full(scores.shape, 0.6), first_session=0, horizon=1)
    assert np.isnan(found.break_even_bp)
    assert np.isnan(found.break_even_by_session).all()


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
    config = BacktestConfig(names_a_side=1, entry=first_tradable_entry(open_share(prices, scores[30:], 30)))
    weights = np.where(np.arange(len(scores))[:, None] >= 30, target_weights(scores, prices.member, config), 0.0)
    expected = run_backtest(prices, weights, config, horizon=horizon).net[31:]
    found = standard_pnl(prices, scores[30:], first_session=30, horizon=horizon)
    np.testing.assert_array_equal(found.pnl, expected)


def test_scores_that_never_differ_hold_nothing_and_have_a_sharpe_ratio_of_zero():
    prices, scores = random_market(2, gaps=False)
    found = standard_pnl(prices, np.full(scores.shape, 0.6), first_session=0, horizon=1)
    assert not found.pnl.any()
    assert found.sharpe == 0.0
