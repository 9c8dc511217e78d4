"""Figures of a P&L against hand-computed values, skfolio and statsmodels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skfolio import measures

from foundry_tasks.evaluation import performance as p

UP_AND_DOWN = np.array([0.10, -0.50, 0.20, 0.0])
FLAT = np.zeros(5)
FIGURES = [p.annualised_return, p.annualised_volatility, p.sharpe_ratio, p.sortino_ratio, p.max_drawdown,
           p.calmar_ratio, p.win_rate]  # fmt: skip


def daily(seed, n=300):
    return np.random.default_rng(seed).normal(0.0004, 0.01, n)


def test_equity_compounds():
    assert p.equity(UP_AND_DOWN) == pytest.approx([1.1, 0.55, 0.66, 0.66])


def test_equity_that_is_lost_stays_lost():
    ruin = np.array([0.1, -1.2, 0.5])
    assert p.equity(ruin) == pytest.approx([1.1, 0.0, 0.0])
    assert p.max_drawdown(ruin) == 1.0
    assert p.annualised_return(ruin) == -1.0


def test_the_annual_return_is_what_a_year_compounds_to():
    assert p.annualised_return(np.full(126, 0.001)) == pytest.approx(1.001**252 - 1)


def test_sharpe_volatility_and_sortino_by_hand():
    pnl = np.array([0.01, -0.01, 0.03])
    assert p.annualised_volatility(pnl) == pytest.approx(0.02 * np.sqrt(252))
    assert p.sharpe_ratio(pnl) == pytest.approx(0.01 / 0.02 * np.sqrt(252))
    assert p.sharpe_ratio(pnl, periods_per_year=1) == pytest.approx(0.5)
    assert p.sortino_ratio(pnl) == pytest.approx(0.01 / np.sqrt(0.0001 / 3) * np.sqrt(252))


def test_a_loss_on_the_first_day_is_a_drawdown():
    assert p.max_drawdown(np.array([-0.2, 0.1])) == pytest.approx(0.2)


def test_drawdown_counts_from_the_highest_equity_so_far():
    assert p.drawdown(UP_AND_DOWN) == pytest.approx([0.0, 0.5, 0.4, 0.4])
    assert p.calmar_ratio(UP_AND_DOWN) == pytest.approx(p.annualised_return(UP_AND_DOWN) / 0.5)


def test_a_flat_day_neither_wins_nor_loses():
    assert p.win_rate(UP_AND_DOWN) == pytest.approx(2 / 3)


def test_a_high_win_rate_can_be_a_loss():
    pnl = np.array([0.01] * 89 + [-0.1] * 11)
    assert p.win_rate(pnl) == pytest.approx(0.89)
    assert p.annualised_return(pnl) < 0


@given(st.integers(0, 2**32 - 1))
def test_sharpe_sortino_and_drawdown_equal_those_of_skfolio(seed):
    pnl = daily(seed)
    assert p.sharpe_ratio(pnl, periods_per_year=1) == pytest.approx(pnl.mean() / measures.standard_deviation(pnl))
    downside = measures.semi_deviation(pnl, min_acceptable_return=0.0, biased=True)
    assert p.sortino_ratio(pnl) == pytest.approx(pnl.mean() / downside * np.sqrt(252))
    assert p.max_drawdown(pnl) == pytest.approx(measures.max_drawdown(measures.get_drawdowns(pnl, compounded=True)))


@pytest.mark.parametrize("figure", [p.sharpe_ratio, p.sortino_ratio, p.calmar_ratio, p.win_rate])
def test_a_series_that_never_moves_has_no_ratio(figure):
    assert np.isnan(figure(FLAT))


def test_a_constant_gain_has_no_sharpe_ratio_though_rounding_gives_it_a_deviation():
    assert np.isnan(p.sharpe_ratio(np.full(7, 0.1)))


@pytest.mark.parametrize("figure", FIGURES)
def test_a_missing_or_empty_day_leaves_every_figure_undefined(figure):
    assert np.isnan(figure(np.array([0.01, np.nan, -0.02])))
    assert np.isnan(figure(np.empty(0)))


def test_alpha_and_beta_are_those_of_statsmodels():
    t = np.arange(60)
    benchmark = 0.01 * np.sin(1.3 * t)
    found = p.market_regression(0.0004 + 0.8 * benchmark + 0.005 * np.cos(0.7 * t), benchmark)
    assert (found.alpha, found.beta) == pytest.approx((0.00035088418509307014, 0.8176032407574514))
    assert (found.alpha_t, found.beta_t, found.lag) == pytest.approx((0.5341275466408134, 10.925197427135178, 3))
    assert found.annualised_alpha == pytest.approx(252 * 0.00035088418509307014)


def test_a_leveraged_benchmark_has_a_beta_and_no_t():
    benchmark = daily(3)
    found = p.market_regression(2 * benchmark, benchmark)
    assert (found.alpha, found.beta) == pytest.approx((0.0, 2.0), abs=1e-12)
    assert np.isnan([found.alpha_t, found.beta_t]).all()


@pytest.mark.parametrize("benchmark", [np.full(300, 0.01), np.append(daily(4, 299), np.nan)])
def test_a_benchmark_that_never_moves_or_misses_a_day_has_no_beta(benchmark):
    assert np.isnan(p.market_regression(daily(3), benchmark).beta)


def test_the_monthly_table_compounds_within_month_and_year():
    sessions = np.array(["2019-12-30", "2019-12-31", "2020-02-03", "2020-03-02"], dtype="datetime64[D]")
    table = p.monthly_table(sessions, np.array([0.1, 0.1, -0.5, 1.0]))
    assert table.years == (2019, 2020)
    assert table.months[0, 11] == pytest.approx(0.21)
    assert table.months[1, :4] == pytest.approx([np.nan, -0.5, 1.0, np.nan], nan_ok=True)
    assert table.totals == pytest.approx([0.21, 0.0])


def test_the_monthly_table_multiplies_to_the_whole():
    sessions = np.arange("2018-11-05", "2019-09-01", dtype="datetime64[D]")
    pnl = daily(9, len(sessions))
    table = p.monthly_table(sessions, pnl)
    assert np.nanprod(1 + table.months) == pytest.approx(p.equity(pnl)[-1])
    assert np.prod(1 + table.totals) == pytest.approx(p.equity(pnl)[-1])


def test_headline_figures_are_those_of_the_functions():
    pnl, benchmark = daily(1), daily(2)
    found = p.headline_figures(pnl, turnover=np.full(300, 0.25), benchmark=benchmark)
    assert found.mean_turnover == 0.25
    assert found.sharpe == p.sharpe_ratio(pnl)
    assert found.beta_t == p.market_regression(pnl, benchmark).beta_t
