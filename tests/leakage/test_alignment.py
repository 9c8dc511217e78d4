"""Group 4, the backtest's alignment: a decision at the close of t trades at t + 1 and earns from then on."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.data.panel import PricePanel
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.edge_decay import edge_decay_ladder
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.features.labels import forward_returns
from tests.leakage.ragged import HALTED, JOINS, JOINS_AT, ragged_market, with_future

ENTRIES = ("next_open", "next_close")
SIZINGS = ("long_only", "long_short", "top_bottom", "probability")
at_each_entry = pytest.mark.parametrize("entry", ENTRIES)


@pytest.fixture(scope="module")
def prices():
    return ragged_market()


def config(**keys):
    return BacktestConfig(**{"names_a_side": 3, **keys})


def targets_of(prices, seed=4):
    """Dollar-neutral weights of random scores."""
    scores = np.random.default_rng(seed).random(prices.member.shape)
    return target_weights(scores, prices.member, config())


def one_ticker(opens, closes):
    """A market of one ticker with these opens and closes."""
    fields = {name: np.array([values], dtype=float).T for name, values in (("open", opens), ("close", closes))}
    sessions = np.datetime64("2026-01-05") + np.arange(len(opens))
    return PricePanel(sessions, ("A",), fields, np.ones((len(opens), 1), dtype=bool), ("",))


def only(t, n):
    """Targets: all capital in the ticker, at the close of t only."""
    targets = np.zeros((n, 1))
    targets[t] = 1.0
    return targets


# ------------------------------------------------------------------ the lag, by hand
@at_each_entry
def test_a_position_earns_nothing_on_the_day_it_is_decided(entry):
    leap = one_ticker([100, 100, 100, 150, 150], [100, 100, 150, 150, 150])
    made = run_backtest(leap, only(2, 5), config(entry=entry, holding_sessions=1), horizon=1)
    np.testing.assert_array_equal(made.gross, 0.0)
    np.testing.assert_array_equal(made.holdings.turnover > 0, [False, False, False, True, True])


def test_what_the_close_decided_earns_from_the_next_open():
    market = one_ticker([100, 100, 110, 200, 200], [100, 100, 121, 200, 200])
    made = run_backtest(market, only(1, 5), config(entry="next_open", holding_sessions=1), horizon=1)
    np.testing.assert_allclose(made.gross, [0, 0, 0.1, 79 / 110, 0], atol=1e-15)


def test_what_the_close_decided_earns_from_the_next_close():
    market = one_ticker([100, 100, 110, 300, 300], [100, 100, 121, 242, 300])
    made = run_backtest(market, only(1, 5), config(entry="next_close", holding_sessions=1), horizon=1)
    np.testing.assert_allclose(made.gross, [0, 0, 0, 1, 0], atol=1e-15)


@at_each_entry
@pytest.mark.parametrize("horizon", [1, 5])
def test_a_label_of_t_is_what_a_position_decided_at_t_earns(prices, entry, horizon):
    """Otherwise a model would be trained on one return and judged by another."""
    ticker, t = 7, 200
    wanted = np.zeros(prices.member.shape)
    wanted[t, ticker] = 1.0
    made = run_backtest(prices, wanted, config(entry=entry), horizon=horizon)
    label = forward_returns(prices, horizon, entry)[t, ticker]
    assert made.gross.sum() == pytest.approx(label / horizon, abs=1e-12)


# ------------------------------------------------------------------ another future
@at_each_entry
def test_targets_of_t_move_no_figure_up_to_t(prices, entry):
    at, wanted = 200, targets_of(prices)
    others = wanted.copy()
    others[at:] = targets_of(prices, seed=5)[at:]
    one, other = (run_backtest(prices, w, config(entry=entry), horizon=5) for w in (wanted, others))
    for figure in ("gross", "net", "gross_exposure"):
        np.testing.assert_array_equal(getattr(other, figure)[: at + 1], getattr(one, figure)[: at + 1])
    assert not np.array_equal(other.holdings.traded[at + 1], one.holdings.traded[at + 1])


@at_each_entry
@pytest.mark.parametrize("future", ["gone", "noise"])
@pytest.mark.parametrize("at", [256, 297, 329, 345])
def test_figures_up_to_t_are_the_same_in_every_future(prices, entry, future, at):
    """In halts, at delistings and before a delisting is known: no valuation or payout uses later knowledge."""
    wanted = targets_of(prices)
    wanted[:, HALTED] = 0.1
    rules = config(entry=entry, impact="square_root", max_turnover=0.3)
    one, other = (run_backtest(p, wanted, rules, horizon=3) for p in (prices, with_future(prices, at, future)))
    for figure in ("gross", "net", "gross_exposure", "benchmark", "buy_and_hold"):
        np.testing.assert_array_equal(getattr(other, figure)[: at + 1], getattr(one, figure)[: at + 1])


@pytest.mark.parametrize("impact", ["square_root", "volume_share"])
def test_impact_is_judged_by_the_sessions_before_the_trade(prices, impact):
    at, wanted = 200, targets_of(prices)
    volume = prices.fields["volume"].copy()
    volume[at] *= 50
    heavy = replace(prices, fields={**prices.fields, "volume": volume})
    one, other = (run_backtest(p, wanted, config(impact=impact), horizon=1) for p in (prices, heavy))
    assert other.costs.impact[at] == one.costs.impact[at] > 0
    assert other.costs.impact[at + 1] < one.costs.impact[at + 1]


def test_buy_and_hold_earns_with_a_joiner_from_the_session_after_it_joined(prices):
    close = prices.fields["close"].copy()
    close[JOINS_AT:, JOINS] *= 5
    leaping = replace(prices, fields={**prices.fields, "close": close})
    one, other = (run_backtest(p, targets_of(prices), config(), horizon=1) for p in (prices, leaping))
    np.testing.assert_allclose(other.buy_and_hold, one.buy_and_hold, atol=1e-12)


# ------------------------------------------------------------------ weights
@pytest.mark.parametrize("sizing", SIZINGS)
def test_weights_of_a_session_follow_from_that_session_alone(prices, sizing):
    rng, at = np.random.default_rng(6), 200
    scores, member = rng.random(prices.member.shape), rng.random(prices.member.shape) > 0.2
    others, changed = 5 + rng.random(scores.shape), ~member
    others[at], changed[at] = scores[at], member[at]
    one, other = (target_weights(s, m, config(sizing=sizing)) for s, m in ((scores, member), (others, changed)))
    np.testing.assert_array_equal(other[at], one[at])
    assert one[at].any()


# ------------------------------------------------------------------ the ladder
def test_no_config_can_trade_at_the_close_that_decided():
    with pytest.raises(ValidationError, match="entry"):
        config(entry="same_close")


@at_each_entry
def test_the_ladders_later_rungs_are_the_backtests(prices, entry):
    wanted = targets_of(prices)
    ladder = edge_decay_ladder(prices, wanted)
    free = config(entry=entry, holding_sessions=5, commission_bp=0, half_spread_bp=0, borrow_bp_a_year=0)
    (rung,) = [c for c in ladder.cells if (c.entry, c.holding_sessions, c.cost_bp) == (entry, 5, 0)]
    np.testing.assert_allclose(rung.net, run_backtest(prices, wanted, free, horizon=5).net[ladder.window], atol=1e-15)
