"""Group 3, the simulation never looks ahead: a strategy sees past data only, and its decisions trade later."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from foundry_tasks.contract.config import BacktestConfig, EnsembleConfig, GatePolicy, ModelsConfig
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.forward_simulator import ForwardSimulator
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.features import build_features
from foundry_tasks.features.labels import build_labels
from foundry_tasks.models.base.logistic import LogisticRegression
from foundry_tasks.models.design import build_design
from foundry_tasks.models.meta_learner import standardise
from foundry_tasks.models.training import FitWindow, WindowTrainer
from foundry_tasks.walk.study import Recipe, walk
from tests.leakage.ragged import ragged_market, with_future
from tests.traded_market import ReplayedTargets

RULES = BacktestConfig(names_a_side=3, impact="square_root", max_turnover=0.4)


@pytest.fixture(scope="module")
def prices():
    return ragged_market()


@dataclass
class Reversal:
    """Buys tickers that fell and sells tickers that rose since its last fit's close. Records the data that it was shown."""

    shown: list[int] = field(default_factory=list)
    fitted_on: list[int] = field(default_factory=list)
    behind: list[np.ndarray] = field(default_factory=list)

    def fit(self, known):
        self.fitted_on.append(len(known.sessions))

    def targets(self, known):
        close = known.adjusted_close
        self.shown.append(len(close))
        self.behind.append((close if close.base is None else close.base)[len(close) :].copy())
        return target_weights(-(close[-1:] / close[-6:-5] - 1), known.member[-1:], RULES)[0]


def simulated(prices, strategy, *, until=None, **keys):
    keys = {"horizon": 3, "first_session": 240, **keys}
    simulator = ForwardSimulator(prices, strategy, RULES, **keys)
    while simulator.session < (until or len(prices.sessions)):
        simulator.step()
    return simulator.days


# ------------------------------------------------------------------ what a strategy is shown
def test_a_strategy_is_shown_the_session_at_whose_close_it_decides_and_none_after_it(prices):
    strategy = Reversal()
    simulated(prices, strategy, until=260)
    assert strategy.shown == list(range(241, 261))


def test_the_memory_behind_what_is_shown_does_not_hold_the_future_either(prices):
    strategy = Reversal()
    simulated(prices, strategy, until=260)
    assert all(np.isnan(rows).all() for rows in strategy.behind)


def test_what_trades_at_t_was_fitted_on_sessions_before_t(prices):
    strategy = Reversal()
    simulated(prices, strategy, until=300, retrain_every_sessions=20)
    assert strategy.fitted_on == [240, 260, 280]


# ------------------------------------------------------------------ when it trades and earns
def test_the_first_trade_comes_a_session_after_the_first_decision(prices):
    days = simulated(prices, Reversal(), until=245)
    assert [day.turnover > 0 for day in days[239:]] == [False, False, True, True, True, True]
    assert days[240].net == 0.0


@pytest.mark.parametrize("future", ["gone", "noise"])
@pytest.mark.parametrize("at", [256, 297, 329])
def test_days_up_to_t_are_the_same_in_every_future(prices, future, at):
    one, other = (simulated(p, Reversal(), until=at + 1) for p in (prices, with_future(prices, at, future)))
    assert one == other
    assert any(day.net for day in one)


@pytest.mark.parametrize("entry", ["next_open", "next_close"])
def test_a_replay_earns_what_the_backtest_earns(prices, entry):
    """One uses matrices, the other an account per session: a shift of one session in either makes them differ."""
    scores = np.random.default_rng(4).random(prices.member.shape)
    rules = RULES.model_copy(update={"entry": entry})
    wanted = target_weights(scores, prices.member, rules)
    made = run_backtest(prices, wanted, rules, horizon=5)
    days = ForwardSimulator(prices, ReplayedTargets(wanted), rules, horizon=5).run()
    for figure in ("gross", "net", "gross_exposure"):
        np.testing.assert_allclose([getattr(day, figure) for day in days], getattr(made, figure), rtol=0, atol=1e-9)


# ------------------------------------------------------------------ retraining
FIRST_TEST, TEST, VALIDATION, HORIZON = 240, 40, 20, 5


@dataclass
class Walked:
    """Fits the logistic regression like a fold whose test begins now, and records every session's scores."""

    recipe: Recipe
    scores: list[np.ndarray] = field(default_factory=list)

    def fit(self, known):
        self.window = FitWindow(0, len(known.sessions) - 2 * HORIZON - VALIDATION, HORIZON)
        labels = build_labels(known, HORIZON).sector
        self.model = self._trainer(known).fit(labels, self.window)

    def targets(self, known):
        t = len(known.sessions) - 1
        self.scores.append(self._trainer(known).score(self.model, t, t + 1)[0])
        return np.zeros(len(known.tickers))

    def _trainer(self, known):
        design = build_design(build_features(known, "core").panel, "rank")
        return WindowTrainer(LogisticRegression(), design, [self.window], self.recipe.models)


def test_a_strategy_that_is_retrained_as_the_folds_are_says_what_the_folds_say(prices):
    models = ModelsConfig(
        horizons=(HORIZON,), models=("logistic",), seeds=1, threads=1, folds=3, test_sessions=TEST, warmup_blocks=1,
        validation_sessions=VALIDATION, min_fit_sessions=50, first_test_session=FIRST_TEST,
    )  # fmt: skip
    recipe = Recipe("core", models, EnsembleConfig(seeds=1, threads=1), GatePolicy())
    folds = walk(build_features(prices, "core").panel, build_labels(prices, HORIZON), recipe).folds
    strategy, until = Walked(recipe), FIRST_TEST + TEST + 10
    simulated(prices, strategy, until=until, first_session=FIRST_TEST, retrain_every_sessions=TEST)
    said = np.concatenate([fold.scores[-TEST:] for fold in folds])[: until - FIRST_TEST]
    np.testing.assert_allclose(standardise(np.array(strategy.scores)), said, rtol=0, atol=1e-9)
