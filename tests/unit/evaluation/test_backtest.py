"""The backtester on hand-made markets: timing, missing prices, counts; and properties on random markets."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.evaluation.tranches import DELISTED_AFTER_SESSIONS
from tests.traded_market import NAN, market, random_market

SEEDS = st.integers(0, 2**32 - 1)
FREE = {"commission_bp": 0, "half_spread_bp": 0, "borrow_bp_a_year": 0}


def held(close, targets, horizon=1, open_=None, member=None, benchmark=None, **keys):
    """A backtest of given targets. Default: trades at the next close, without costs; `keys` override."""
    config = BacktestConfig(**{"entry": "next_close", **FREE, **keys})
    prices = market(close, open=open_, member=member, benchmark=benchmark)
    return run_backtest(prices, np.array(targets, dtype=float), config, horizon=horizon)


def column(*values):
    return np.array(values, dtype=float)[:, None]


# Timing of positions


def test_a_position_earns_nothing_on_the_day_it_is_decided():
    result = held(column(100, 150, 150, 150), column(1, 0, 0, 0))
    assert result.gross == pytest.approx([0, 0, 0, 0])


def test_bought_at_the_next_close_it_earns_the_session_after():
    result = held(column(100, 150, 165, 300), column(1, 0, 0, 0))
    assert result.gross == pytest.approx([0, 0, 0.10, 0])


def test_bought_at_the_next_open_it_earns_from_that_open_to_the_next():
    result = held(column(100, 130, 140, 200), column(1, 0, 0, 0), open_=column(100, 120, 150, 170), entry="next_open")
    assert result.gross == pytest.approx([0, 10 / 120, 20 / 120, 0])


def test_a_short_position_earns_what_the_price_falls():
    assert held(column(100, 100, 90, 90), column(-1, 0, 0, 0)).gross == pytest.approx([0, 0, 0.1, 0])


@pytest.mark.parametrize("entry", ["same_close", "close", "", None, 0])
def test_the_same_close_cannot_be_asked_for(entry):
    with pytest.raises(ValidationError):
        BacktestConfig(entry=entry)


@pytest.mark.parametrize("holding", [0, -1])
def test_a_holding_is_at_least_one_session(holding):
    with pytest.raises(ValidationError):
        BacktestConfig(holding_sessions=holding)


def test_prices_without_an_open_are_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"entry=next_open trades at the open, .*Set entry=next_close\.$"):
        held(column(1, 1), column(0, 0), entry="next_open")


# Tranches and trades


def test_a_holding_of_two_sessions_is_two_halves_each_held_for_two():
    result = held(np.full((6, 1), 100.0), column(1, 0, 1, 1, 0, 0), horizon=2)
    assert result.holdings.positions[:, 0] == pytest.approx([0, 0.5, 0.5, 0.5, 1, 0.5])
    assert result.holdings.traded[:, 0] == pytest.approx([0, 0.5, 0, 0, 0.5, -0.5])


def test_the_config_may_hold_longer_than_the_models_horizon():
    result = held(np.full((5, 1), 100.0), column(1, 0, 0, 0, 0), horizon=1, holding_sessions=2)
    assert result.holdings.positions[:, 0] == pytest.approx([0, 0.5, 0.5, 0, 0])


def test_a_position_that_drifted_is_traded_back_and_that_is_turnover():
    result = held(column(100, 100, 120, 120), column(1, 1, 1, 1))
    assert result.holdings.turnover == pytest.approx([0, 1, 0.2, 0])
    assert result.holdings.positions[:, 0] == pytest.approx([0, 1, 1, 1])


def test_a_turnover_cap_shrinks_every_trade_of_the_session_by_the_same_part():
    result = held(np.full((4, 2), 100.0), [[0.6, -0.4]] * 4, max_turnover=0.5)
    assert result.holdings.traded == pytest.approx(np.array([[0, 0], [0.3, -0.2], [0.3, -0.2], [0, 0]]))


def test_what_the_cap_left_untraded_waits_for_the_tranches_next_turn():
    result = held(np.full((5, 1), 100.0), column(1, 1, 1, 1, 1), horizon=2, max_turnover=0.3)
    assert result.holdings.traded[:, 0] == pytest.approx([0, 0.3, 0.3, 0.2, 0.2])


# Missing prices


def test_a_halted_position_earns_nothing_and_then_the_whole_move():
    result = held(column(100, 100, NAN, NAN, 130, 130), column(1, 1, 1, 1, 1, 1))
    assert result.gross == pytest.approx([0, 0, 0, 0, 0.3, 0])
    assert result.holdings.halted.tolist() == [0, 0, 1, 1, 0, 0]
    assert result.holdings.delisted.sum() == 0


def test_nothing_is_traded_without_a_price():
    result = held(column(100, 100, NAN, 110, 110), column(1, 0, 0, 0, 0))
    assert result.holdings.traded[:, 0] == pytest.approx([0, 1, 0, -1.1, 0])
    bought_late = held(column(100, NAN, 100, 100), column(1, 1, 0, 0))
    assert bought_late.holdings.traded[:, 0] == pytest.approx([0, 0, 1, -1])


def test_a_session_with_a_close_and_no_open_is_marked_and_not_traded():
    result = held(column(100, 100, 120, 120), column(1, 0, 0, 0), open_=column(100, 100, NAN, 120), entry="next_open")
    assert result.gross == pytest.approx([0, 0, 0.2, 0])
    assert result.holdings.traded[:, 0] == pytest.approx([0, 1, 0, -1.2])
    assert result.holdings.halted.sum() == 0


def test_a_session_with_an_open_and_no_close_is_a_halt():
    result = held(column(100, 100, NAN, 120), column(1, 0, 0, 0), open_=column(100, 100, 110, 120), entry="next_open")
    assert result.gross == pytest.approx([0, 0, 0, 0.2])
    assert result.holdings.traded[:, 0] == pytest.approx([0, 1, 0, -1.2])
    assert result.holdings.halted.tolist() == [0, 0, 1, 0]


def test_a_delisted_position_is_paid_out_at_its_last_price_without_a_trade():
    close = np.full((40, 1), 100.0)
    close[5:] = NAN
    result = held(close, np.ones((40, 1)), commission_bp=10)
    gone = 5 + DELISTED_AFTER_SESSIONS - 1
    assert result.holdings.positions[gone - 1, 0] == 1
    assert result.holdings.positions[gone:].sum() == 0
    assert np.flatnonzero(result.holdings.delisted).tolist() == [gone]
    assert result.holdings.halted.sum() == DELISTED_AFTER_SESSIONS - 1
    assert result.holdings.turnover.sum() == 1
    assert result.gross.sum() == 0


def test_a_ticker_whose_impact_is_unknown_is_not_traded():
    close = np.cumprod(1 + 0.01 * np.resize([1, -1], (40, 1)), axis=0)
    prices = market(close, volume=np.full((40, 1), 1e6))
    config = BacktestConfig(entry="next_close", impact="square_root")
    result = run_backtest(prices, np.ones((40, 1)), config, horizon=1)
    first = int(np.flatnonzero(result.holdings.turnover)[0])
    assert first == 17  # sixteen returns, from session 1 on, are known before it
    assert result.costs.impact[first] > 0


# Warnings and diagnostics


def test_the_universe_in_equal_weights_is_that_of_the_members_of_the_close_before():
    result = held([[100, 100], [110, 200], [110, 100]], np.zeros((3, 2)), member=[[1, 0], [1, 1], [0, 0]])
    assert result.buy_and_hold == pytest.approx([0, 0.1, -0.25])
    assert result.benchmark == pytest.approx(result.buy_and_hold)


def test_a_benchmark_without_a_level_returns_nothing_and_then_the_whole_move():
    result = held(np.full((4, 1), 100.0), np.zeros((4, 1)), benchmark=[50, NAN, 55, 66])
    assert result.benchmark == pytest.approx([0, 0, 0.1, 0.2])


def test_exposure_is_of_the_close():
    result = held([[100, 100], [100, 100], [120, 100]], [[0.5, -0.5]] * 3, horizon=2)
    assert result.gross_exposure == pytest.approx([0, 0.5, 0.3 + 0.25 + 0.25 + 0.25])
    assert result.net_exposure == pytest.approx([0, 0, 0.05])


def test_every_trade_is_listed_with_the_session_that_decided_it():
    result = held([[100, 50], [100, 50], [110, 50]], [[1, 0], [0, -0.5], [0, 0]], commission_bp=10, half_spread_bp=0)
    trades = result.trades()
    assert list(trades.columns) == ["decided", "executed", "ticker", "weight_change", "price", "cost"]
    first, second, third = trades.to_dict("records")
    assert (str(first["decided"])[:10], str(first["executed"])[:10]) == ("2024-01-02", "2024-01-03")
    assert (first["ticker"], first["weight_change"], first["price"]) == ("A", 1, 100)
    assert first["cost"] == pytest.approx(0.001)
    assert (second["ticker"], second["weight_change"]) == ("A", pytest.approx(-1.1))
    assert (third["ticker"], third["weight_change"], third["price"]) == ("B", -0.5, 50)
    assert trades["cost"].sum() == pytest.approx(result.costs.total.sum())


# Properties on any market

CONFIGS = (
    BacktestConfig(sizing="top_bottom", names_a_side=2),
    BacktestConfig(sizing="long_short", entry="next_close", impact="volume_share", holding_sessions=3),
    BacktestConfig(sizing="probability", impact="square_root", max_turnover=0.2, holding_sessions=2),
    BacktestConfig(sizing="long_only", entry="next_close", max_turnover=0.05),
)


def traded(prices, p_up, config):
    return run_backtest(prices, target_weights(p_up, prices.member, config), config, horizon=1)


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=25)
@given(SEEDS)
def test_cash_is_conserved(config, seed):
    """Cash (changed by trades and costs only) plus positions equals capital plus P&L."""
    prices, p_up = random_market(seed)
    result = traded(prices, p_up, config)
    paid_out = np.zeros(len(p_up))
    before = np.vstack([np.zeros(p_up.shape[1]), result.holdings.positions[:-1]])
    gone = (before != 0) & (result.holdings.positions == 0) & (result.holdings.traded == 0)
    paid_out = np.where(gone, before, 0).sum(axis=1)
    cash = 1 + np.cumsum(paid_out - result.holdings.traded.sum(axis=1) - result.costs.total)
    equity = cash + result.holdings.positions.sum(axis=1)
    assert equity == pytest.approx(1 + np.cumsum(result.net), abs=1e-11)
    assert result.net == pytest.approx(result.gross - result.costs.total, abs=1e-15)
    assert all((kind >= 0).all() for kind in (result.costs.commission, result.costs.impact, result.costs.borrow))


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=25)
@given(SEEDS)
def test_the_order_of_the_tickers_changes_no_figure(config, seed):
    prices, p_up = random_market(seed)
    order = np.random.default_rng(seed).permutation(p_up.shape[1])
    permuted = replace(
        prices.mapped(lambda _, values: values[:, order]),
        member=prices.member[:, order],
        tickers=tuple(prices.tickers[i] for i in order),
    )
    here, there = traded(prices, p_up, config), traded(permuted, p_up[:, order], config)
    assert there.net == pytest.approx(here.net, abs=1e-12)
    assert there.holdings.positions == pytest.approx(here.holdings.positions[:, order], abs=1e-12)
    assert there.holdings.halted.tolist() == here.holdings.halted.tolist()


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=25)
@given(SEEDS)
def test_a_split_of_every_price_in_the_past_and_to_come_changes_no_figure(config, seed):
    prices, p_up = random_market(seed)
    factor = np.exp(np.random.default_rng(seed).normal(size=p_up.shape[1]))
    split = prices.mapped(lambda name, values: values / factor if name == "volume" else values * factor)
    here, there = traded(prices, p_up, config), traded(split, p_up, config)
    assert there.net == pytest.approx(here.net, abs=1e-12)
    assert there.holdings.turnover == pytest.approx(here.holdings.turnover, abs=1e-12)


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=25)
@given(SEEDS, st.integers(1, 70))
def test_what_is_still_to_come_changes_nothing_that_was(config, seed, n_sessions):
    prices, p_up = random_market(seed)
    whole, cut = traded(prices, p_up, config), traded(prices.up_to(n_sessions), p_up[:n_sessions], config)
    assert cut.net == pytest.approx(whole.net[:n_sessions], abs=1e-12)
    assert cut.holdings.delisted.tolist() == whole.holdings.delisted[:n_sessions].tolist()


@settings(max_examples=25)
@given(SEEDS)
def test_no_signal_earns_nothing_and_costs_nothing(seed):
    prices, p_up = random_market(seed)
    result = traded(prices, np.full_like(p_up, NAN), BacktestConfig())
    assert not result.net.any()
    assert not result.holdings.positions.any()
    assert result.trades().empty


@settings(max_examples=25)
@given(SEEDS)
def test_trading_a_session_earlier_is_another_result(seed):
    """Figures depend on the lag: signals shifted by one session, as with a wrong sign of the lag, give other figures."""
    prices, p_up = random_market(seed, gaps=False)
    config = BacktestConfig(sizing="top_bottom", names_a_side=2)
    early = np.vstack([p_up[1:], p_up[-1:]])
    assert not np.allclose(traded(prices, p_up, config).gross, traded(prices, early, config).gross, atol=1e-6)


def test_foreknowledge_of_a_session_earns_nothing_once_it_is_traded_after_it():
    """The session's own return as signal earns a lot if traded at the same close, and nothing at the next."""
    rng = np.random.default_rng(5)
    returns = rng.normal(0, 0.02, (400, 30))
    close = 100 * np.cumprod(1 + returns, axis=0)
    own = held(close, target_weights(returns, np.ones(close.shape, bool), CONFIGS[0]))
    assert abs(own.gross.mean()) < 0.002
    assert (own.holdings.positions[1:] * returns[:-1]).sum(axis=1).mean() > 0.02
