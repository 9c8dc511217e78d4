"""The ladder: 36 cells of one signal, earnings at the same close, and the break-even cost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.edge_decay import edge_decay_ladder
from foundry_tasks.evaluation.positions import target_weights
from tests.traded_market import market, random_market

CONFIG = BacktestConfig(sizing="top_bottom", names_a_side=2)


def cell(ladder, entry, holding, cost_bp):
    (found,) = (c for c in ladder.cells if (c.entry, c.holding_sessions, c.cost_bp) == (entry, holding, cost_bp))
    return found


def test_three_entries_three_holdings_and_four_costs_are_36_cells():
    prices, p_up = random_market(1)
    ladder = edge_decay_ladder(prices, target_weights(p_up, prices.member, CONFIG))
    assert len(ladder.cells) == len({(c.entry, c.holding_sessions, c.cost_bp) for c in ladder.cells}) == 36
    assert len(ladder.break_even_bp) == 9
    assert ladder.absent == ()


def test_without_an_open_its_cells_are_absent_by_name():
    prices, p_up = random_market(1)
    prices = market(prices.fields["close"])
    ladder = edge_decay_ladder(prices, target_weights(p_up, prices.member, CONFIG))
    assert len(ladder.cells) == 24
    assert ladder.absent == ("next_open: the prices hold no open",)


def test_an_edge_that_lives_for_one_night_is_gone_at_the_open():
    """The signal of t is the return from the close of t to the open of t + 1."""
    rng = np.random.default_rng(3)
    overnight, intraday = rng.normal(0, 0.01, (2, 300, 20))
    close = 100 * np.cumprod((1 + overnight) * (1 + intraday), axis=0)
    prices = market(close, open=close / (1 + intraday))
    signal = np.vstack([overnight[1:], np.zeros((1, 20))])
    ladder = edge_decay_ladder(prices, target_weights(signal, prices.member, CONFIG))
    assert cell(ladder, "same_close", 1, 0).mean_net_bp > 50
    assert abs(cell(ladder, "next_open", 1, 0).mean_net_bp) < 20
    assert abs(cell(ladder, "next_close", 1, 0).mean_net_bp) < 20


@pytest.mark.parametrize("entry", ["next_open", "next_close"])
@pytest.mark.parametrize("holding", [1, 5, 20])
@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_a_cell_is_the_backtest_of_that_config(entry, holding, seed):
    prices, p_up = random_market(seed)
    targets = target_weights(p_up, prices.member, CONFIG)
    ladder = edge_decay_ladder(prices, targets)
    config = BacktestConfig(
        entry=entry, holding_sessions=holding, commission_bp=5, half_spread_bp=0, borrow_bp_a_year=0
    )
    net = run_backtest(prices, targets, config, horizon=1).net
    assert cell(ladder, entry, holding, 5).net == pytest.approx(net[ladder.window], abs=1e-15)


@pytest.mark.parametrize("holding", [1, 5, 20])
def test_at_the_break_even_cost_nothing_is_left(holding):
    prices, _ = random_market(8, gaps=False)
    open_ = prices.fields["open"]
    tomorrow = np.vstack([open_[2:] / open_[1:-1] - 1, np.zeros((2, open_.shape[1]))])
    targets = target_weights(tomorrow, prices.member, CONFIG)
    ladder = edge_decay_ladder(prices, targets)
    cost_bp = ladder.break_even_bp["next_open", holding]
    assert cost_bp > 0
    config = BacktestConfig(holding_sessions=holding, commission_bp=cost_bp, half_spread_bp=0, borrow_bp_a_year=0)
    assert run_backtest(prices, targets, config, horizon=1).net[ladder.window].sum() == pytest.approx(0, abs=1e-14)


def test_every_cell_is_measured_on_the_sessions_that_had_a_decision_before_them():
    prices, p_up = random_market(2, gaps=False)
    p_up[:10] = p_up[60:] = np.nan
    ladder = edge_decay_ladder(prices, target_weights(p_up, prices.member, CONFIG))
    assert (ladder.window.start, ladder.window.stop) == (11, 61)
    assert {len(c.net) for c in ladder.cells} == {50}


def test_no_signal_has_a_ladder_that_is_undefined():
    prices, p_up = random_market(2)
    ladder = edge_decay_ladder(prices, np.zeros_like(p_up))
    assert np.isnan([c.mean_net_bp for c in ladder.cells]).all()
    assert np.isnan(list(ladder.break_even_bp.values())).all()
