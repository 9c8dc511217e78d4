"""Earnings of forecasts: means, intervals and folds of a backtest."""

import numpy as np
import pytest

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.earnings import (
    FoldAccuracy,
    daily_columns,
    earnings,
    fold_figures,
    ladder_figures,
    sharpe_interval,
)
from foundry_tasks.evaluation.edge_decay import edge_decay_ladder
from foundry_tasks.evaluation.performance import sharpe_ratio
from foundry_tasks.statistics.bootstrap import Resampling
from tests.traded_market import NAN, market

RESAMPLING = Resampling(confidence=0.95, resamples=400, min_blocks=12, seed=7)
FREE = {
    "sizing": "long_only",
    "entry": "next_close",
    "commission_bp": 0.0,
    "half_spread_bp": 0.0,
    "borrow_bp_a_year": 0.0,
}


def rising(sessions=6, **rules):
    """One ticker that gains 1 % per session, bought at the second close by the decision at the first."""
    prices = market(1.01 ** np.arange(sessions)[:, None], benchmark=np.linspace(1, 2, sessions))
    config = BacktestConfig(**FREE | rules)
    return run_backtest(prices, np.ones((sessions, 1)), config, horizon=1)


def known(values):
    return np.array(values, dtype=float)


def fold(number, stop, validation, test):
    return FoldAccuracy(number, stop, known(validation), known(test), known(validation), known(test))


def test_means_are_basis_points_of_the_capital_over_the_window_alone():
    found = earnings(rising(), slice(2, None), holding_sessions=1, resampling=RESAMPLING)
    assert found.sessions == 4
    assert found.gross_bp.value == pytest.approx(100)
    assert found.net_bp.value == pytest.approx(100)
    assert (found.first, found.last) == ("2024-01-04", "2024-01-07")


def test_what_costs_take_is_the_way_from_gross_to_net():
    backtest = rising(commission_bp=3.0, half_spread_bp=4.0)
    found = earnings(backtest, slice(1, None), holding_sessions=1, resampling=RESAMPLING)
    assert found.costs_bp.commission / found.costs_bp.spread == pytest.approx(3 / 4)
    assert found.gross_bp.value - found.costs_bp.total == pytest.approx(found.net_bp.value)


def test_at_the_break_even_cost_nothing_is_left():
    break_even = earnings(rising(), slice(1, None), holding_sessions=1, resampling=RESAMPLING).break_even_bp
    found = earnings(rising(commission_bp=break_even), slice(1, None), holding_sessions=1, resampling=RESAMPLING)
    assert found.net_bp.value == pytest.approx(0, abs=1e-9)


def test_what_was_never_traded_has_no_break_even_cost():
    backtest = run_backtest(market(np.ones((5, 1))), np.zeros((5, 1)), BacktestConfig(**FREE), horizon=1)
    found = earnings(backtest, slice(1, None), holding_sessions=1, resampling=RESAMPLING)
    assert found.break_even_bp is None
    assert found.trades == 0


def test_too_few_blocks_leave_an_interval_undefined():
    found = earnings(rising(), slice(1, None), holding_sessions=1, resampling=RESAMPLING)
    assert (found.net_bp.lower, found.sharpe.upper) == (None, None)


def test_longer_holdings_ask_for_longer_blocks():
    pnl = np.random.default_rng(1).normal(0, 0.01, 200)
    assert sharpe_interval(pnl, horizon=1, resampling=RESAMPLING).blocks == 20
    assert sharpe_interval(pnl, horizon=20, resampling=RESAMPLING).blocks == 3


@pytest.mark.parametrize(("mean", "shown"), [(0.0, False), (0.003, True)])
def test_the_interval_of_a_sharpe_ratio_tells_a_large_edge_from_none(mean, shown):
    pnl = np.random.default_rng(2).normal(mean, 0.01, 750)
    found = sharpe_interval(pnl, horizon=1, resampling=RESAMPLING)
    assert found.value == sharpe_ratio(pnl)
    assert found.lower < found.value < found.upper
    assert (found.lower > 0) == shown


def test_the_interval_of_a_sharpe_ratio_is_as_wide_as_theory_has_it():
    """±1.96 √(252 / T) for a small Sharpe ratio of independent sessions. Lo (2002)."""
    widths = []
    for seed in range(20):
        pnl = np.random.default_rng(seed).normal(0, 0.01, 1000)
        found = sharpe_interval(pnl, horizon=1, resampling=RESAMPLING)
        widths.append((found.upper - found.lower) / 2)
    assert np.mean(widths) == pytest.approx(1.96 * np.sqrt(252 / 1000), rel=0.1)


def test_blocks_without_a_position_leave_the_interval_defined():
    pnl = np.zeros(200)
    pnl[:12] = np.random.default_rng(3).normal(0.01, 0.01, 12)
    found = sharpe_interval(pnl, horizon=1, resampling=RESAMPLING)
    assert found.lower == 0
    assert found.upper > 0


def test_a_fold_earns_from_the_session_after_its_first_to_the_one_after_its_last():
    net = known([9, 9, 0, 1, 2, 3, 4, 9]) * 1e-4
    folds = [fold(1, 4, [0.6], [0.6]), fold(2, 6, [0.6], [0.6])]
    first, second = fold_figures(folds, net, 2)
    assert (first.net_bp, first.sessions) == (pytest.approx(1.5), 2)
    assert (second.net_bp, second.sessions) == (pytest.approx(3.5), 2)


def test_a_fold_keeps_the_part_of_its_validation_edge_that_its_test_shows():
    (found,) = fold_figures([fold(1, 3, [0.5, NAN, 0.6], [0.52, 0.53])], np.zeros(4), 0)
    assert found.wfe_relative == pytest.approx(0.025 / 0.05)
    assert (found.validation_relative, found.test_relative) == (pytest.approx(0.55), pytest.approx(0.525))


def test_a_fold_without_an_edge_in_validation_keeps_nothing_that_could_be_told():
    (found,) = fold_figures([fold(1, 3, [0.49], [0.6])], np.zeros(4), 0)
    assert found.wfe_relative is None


def test_the_ladder_has_36_cells_and_a_break_even_cost_for_each_entry_and_holding():
    prices = market(np.ones((30, 2)) + 0.01 * np.arange(30)[:, None], open=np.ones((30, 2)))
    found = ladder_figures(edge_decay_ladder(prices, np.full((30, 2), 0.5)), resampling=RESAMPLING)
    assert len(found.cells) == 36
    assert len(found.break_even_bp) == 9
    assert found.absent == ()


def test_the_daily_table_has_a_row_for_each_session_of_the_window():
    columns = daily_columns(rising(), slice(2, None))
    assert {len(values) for values in columns.values()} == {4}
    assert columns["date"][0] == np.datetime64("2024-01-04")
