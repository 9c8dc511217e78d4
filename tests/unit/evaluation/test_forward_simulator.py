"""The simulator agrees with the backtest to 1e-9, shows no future data to a strategy, and can be resumed."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.config import BacktestConfig, WalkConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.forward_simulator import ForwardSimulator
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.features.labels import forward_returns
from foundry_tasks.walk.folds import WalkForwardValidator
from tests.traded_market import ReplayedTargets, market, random_market

CONFIGS = st.builds(
    BacktestConfig,
    sizing=st.sampled_from(["long_only", "long_short", "top_bottom", "probability"]),
    names_a_side=st.integers(1, 3),
    entry=st.sampled_from(["next_open", "next_close"]),
    holding_sessions=st.sampled_from([None, 1, 2, 5, 20]),
    max_turnover=st.sampled_from([None, 0.01, 0.1, 0.5]),
    commission_bp=st.sampled_from([0.0, 1.0, 10.0]),
    half_spread_bp=st.sampled_from([0.0, 2.5]),
    impact=st.sampled_from(["none", "square_root", "volume_share"]),
    capital=st.sampled_from([1.0, 1e5, 1e9]),
    borrow_bp_a_year=st.sampled_from([0.0, 300.0]),
)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), CONFIGS, st.integers(1, 6))
def test_a_replay_has_every_daily_figure_of_the_backtest(seed, config, horizon):
    prices, p_up = random_market(seed)
    targets = target_weights(p_up, prices.member, config)
    expected = run_backtest(prices, targets, config, horizon=horizon)
    days = ForwardSimulator(prices, ReplayedTargets(targets), config, horizon=horizon).run()

    def figure(name):
        return np.array([getattr(day, name) for day in days])

    for name in ("gross", "net", "gross_exposure", "net_exposure"):
        assert figure(name) == pytest.approx(getattr(expected, name), rel=0, abs=1e-9), name
    for name in ("commission", "spread", "impact", "borrow"):
        assert figure(name) == pytest.approx(getattr(expected.costs, name), rel=0, abs=1e-9), name
    for name in ("turnover", "halted", "delisted"):
        assert figure(name) == pytest.approx(getattr(expected.holdings, name), rel=0, abs=1e-9), name


def test_the_random_markets_do_hold_halts_and_delistings():
    """Otherwise the agreement above would prove little."""
    config = BacktestConfig(sizing="long_short", holding_sessions=5)
    halted, delisted, missed = 0, 0, 0
    for seed in range(5):
        prices, p_up = random_market(seed)
        holdings = run_backtest(prices, target_weights(p_up, prices.member, config), config, horizon=1).holdings
        halted += holdings.halted.sum()
        delisted += holdings.delisted.sum()
        missed += (np.isnan(prices.fields["open"]) & np.isfinite(prices.fields["close"])).sum()
    assert halted > 20
    assert delisted >= 5
    assert missed > 5


# Data that a strategy sees


class Peeking:
    """Searches the data that it sees for values of later sessions."""

    def __init__(self, n_tickers):
        self.n_tickers = n_tickers
        self.shown, self.found = [], 0

    def fit(self, known):
        self.look(known)

    def targets(self, known):
        self.look(known)
        self.shown.append(known)
        return np.zeros(self.n_tickers)

    def look(self, known):
        n_sessions = len(known.sessions)
        for values in (*known.fields.values(), known.benchmark, known.vix):
            assert len(values) == n_sessions
            while values is not None:  # also the arrays that the view belongs to
                self.found += int(np.isfinite(values[n_sessions:]).sum())
                values = values.base  # noqa: PLW2901 - up the chain of bases
        base = known.member if known.member.base is None else known.member.base
        self.found += int(base[n_sessions:].sum())


def test_a_strategy_finds_nothing_of_the_future_not_even_behind_the_arrays():
    prices, p_up = random_market(4)
    prices = replace(prices, benchmark=np.arange(70.0), vix=np.arange(70.0))
    strategy = Peeking(p_up.shape[1])
    ForwardSimulator(prices, strategy, BacktestConfig(), horizon=1, retrain_every_sessions=7).run()
    assert strategy.found == 0
    assert [len(known.sessions) for known in strategy.shown] == list(range(1, 71))
    for name, values in prices.fields.items():
        np.testing.assert_array_equal(strategy.shown[30].fields[name], values[:31])
    np.testing.assert_array_equal(strategy.shown[30].member, prices.member[:31])


def test_a_strategy_cannot_rewrite_history():
    prices, p_up = random_market(4)
    strategy = Peeking(p_up.shape[1])
    prices = replace(prices, benchmark=np.arange(70.0), vix=np.arange(70.0))
    ForwardSimulator(prices, strategy, BacktestConfig(), horizon=1).step()
    with pytest.raises(ValueError, match="read-only"):
        strategy.shown[0].fields["close"][0, 0] = 1


def test_later_prices_change_no_earlier_day():
    prices, _ = random_market(6)
    other = random_market(7)[0]
    changed = prices.mapped(lambda name, values: np.vstack([values[:40], other.fields[name][40:]]))
    config = BacktestConfig(names_a_side=2, impact="square_root")
    days = [ForwardSimulator(p, Momentum(), config, horizon=2).run()[:40] for p in (prices, changed)]
    assert days[0] == days[1]


# Retraining and resuming


class Momentum:
    """Buys tickers that rose more than the mean of its fit; a minimal strategy with a fit."""

    def __init__(self):
        self.mean = 0.0
        self.fits = []

    def fit(self, known):
        self.fits.append(len(known.sessions))
        returns = known.adjusted_close[1:] / known.adjusted_close[:-1] - 1
        self.mean = float(np.nanmean(returns)) if np.isfinite(returns).any() else 0.0

    def targets(self, known):
        close = known.adjusted_close
        change = close[-1] / close[-2] - 1 if len(close) > 1 else np.zeros(close.shape[1])
        score = np.where(np.isfinite(change), 0.5 + change - self.mean, np.nan)
        return target_weights(score[None], known.member[-1:], BacktestConfig(sizing="long_only"))[0]


def test_a_fit_sees_the_sessions_before_its_first_decision_and_so_a_folds_test_window():
    prices, _ = random_market(1)
    strategy = Momentum()
    ForwardSimulator(prices, strategy, BacktestConfig(), horizon=1, first_session=30, retrain_every_sessions=15).run()
    assert strategy.fits == [30, 45, 60]


class MeanReturn:
    """Weights tickers by mean forward return over the fit window; records the fit window."""

    HORIZON = 2

    def __init__(self, held_back):
        self.held_back = held_back
        self.signals = []

    def fit(self, known):
        self.learn(known, slice(0, len(known.sessions) - self.held_back))

    def learn(self, prices, rows):
        self.mean = np.nanmean(forward_returns(prices, self.HORIZON, "close")[rows], axis=0)

    def score(self, known):
        return self.mean - np.nan_to_num(known.adjusted_close[-1] / known.adjusted_close[-2] - 1)

    def targets(self, known):
        self.signals.append(self.score(known))
        return np.zeros(len(known.tickers))


def test_retrained_where_the_folds_begin_its_signals_are_the_folds():
    prices, _ = random_market(5, n_sessions=160, gaps=False)
    walk = WalkConfig(folds=3, test_sessions=25, validation_sessions=20, warmup_blocks=0, min_fit_sessions=20)
    folds = WalkForwardValidator(walk).folds(160, MeanReturn.HORIZON)
    expected = []
    for fold in folds:
        model = MeanReturn(0)
        model.learn(prices, fold.fit.slice)
        expected += [model.score(prices.up_to(session + 1)) for session in range(fold.test.start, fold.test.stop)]
    first = folds[0]
    strategy = MeanReturn(first.test.start - first.fit.stop)
    ForwardSimulator(
        prices,
        strategy,
        BacktestConfig(),
        horizon=MeanReturn.HORIZON,
        first_session=first.test.start,
        retrain_every_sessions=walk.test_sessions,
    ).run()
    np.testing.assert_array_equal(strategy.signals, expected)


def test_nothing_is_ordered_before_the_first_session_and_it_trades_the_one_after():
    prices = market(np.full((8, 1), 100.0))
    config = BacktestConfig(entry="next_close")
    days = ForwardSimulator(prices, ReplayedTargets(np.ones((8, 1))), config, horizon=1, first_session=4).run()
    assert [round(day.turnover, 12) for day in days] == [0, 0, 0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("retrain_every_sessions", [None, 1, 9])
@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), CONFIGS, st.integers(0, 70))
def test_resumed_at_any_step_it_gives_exactly_the_same(retrain_every_sessions, seed, config, step):
    prices, _ = random_market(seed)
    keys = {"horizon": 3, "first_session": 12, "retrain_every_sessions": retrain_every_sessions}
    whole = ForwardSimulator(prices, Momentum(), config, **keys)
    begun = ForwardSimulator(prices.up_to(max(step, 1)), Momentum(), config, **keys)
    for _ in range(step):
        begun.step()
    resumed = ForwardSimulator.from_json(begun.to_json(), prices, Momentum())
    assert resumed.run() == whole.run()
    assert resumed.to_json() == whole.to_json()


def test_the_state_is_plain_json_that_names_the_tickers():
    prices, _ = random_market(3)
    simulator = ForwardSimulator(prices, Momentum(), BacktestConfig(), horizon=2)
    for _ in range(9):
        simulator.step()
    state = json.loads(simulator.to_json())
    assert set(state["orders"]) <= set(prices.tickers)
    assert len(state["account"]["tranches"]) == 2
    assert state["days"] == [asdict(day) for day in simulator.days]


def test_other_prices_than_it_was_begun_on_are_refused():
    prices, _ = random_market(3)
    simulator = ForwardSimulator(prices, Momentum(), BacktestConfig(), horizon=1)
    simulator.step()
    later = replace(prices, sessions=prices.sessions + 1)
    others = replace(prices, tickers=tuple("UVWXYZ"))
    for panel in (later, others):
        with pytest.raises(ConfigError, match="other tickers or other first 1 sessions than the prices"):
            ForwardSimulator.from_json(simulator.to_json(), panel, Momentum())


def test_the_money_is_all_there():
    """Cash plus positions equals capital plus all P&L, in the market's currency."""
    prices, p_up = random_market(11)
    config = BacktestConfig(sizing="long_short", capital=250_000)
    targets = target_weights(p_up, prices.member, config)
    simulator = ForwardSimulator(prices, ReplayedTargets(targets), config, horizon=4)
    days = simulator.run()
    money = simulator.account.cash + sum(simulator.account.positions().values())
    assert money == pytest.approx(250_000 * (1 + sum(day.net for day in days)), rel=1e-12)
