"""Retraining on past data gives the folds' forecasts on the folds' schedule, and others on another schedule."""

import numpy as np
import pytest

from foundry_tasks.contract.config import BacktestConfig, EnsembleConfig, GatePolicy, ModelsConfig
from foundry_tasks.contract.documents import Window
from foundry_tasks.evaluation.forward_simulator import ForwardSimulator
from foundry_tasks.features.build import build_features
from foundry_tasks.features.labels import build_labels
from foundry_tasks.inputs.feature_file import stored_features
from foundry_tasks.walk.folds import WalkForwardValidator
from foundry_tasks.walk.retraining import RetrainedForecasts, RetrainingRecipe
from foundry_tasks.walk.study import Recipe, walk
from tests.leakage.markets import simulated_market

EVERY, FIRST = 30, 230
MODELS = ModelsConfig(
    horizons=(1,), models=("logistic",), seeds=1, threads=1, folds=2, test_sessions=EVERY, validation_sessions=20,
    first_test_session=FIRST,
)  # fmt: skip
ENSEMBLE = EnsembleConfig(seeds=1, threads=1)
RULES = BacktestConfig(names_a_side=3)
MARKET = simulated_market(sessions=FIRST + 2 * EVERY, tickers=12, seed=5, signal=0.4)


def recipe(every=EVERY):
    return RetrainingRecipe("core", "close", MODELS, ENSEMBLE, FIRST, every)


def forecasts(prices, every=EVERY, stop=None):
    """Forecasts of a simulation that retrains, (n, n_tickers)."""
    strategy = RetrainedForecasts(recipe(every), 1, RULES, stored_features)
    simulator = ForwardSimulator(prices, strategy, RULES, horizon=1, first_session=FIRST, retrain_every_sessions=every)
    while simulator.session < (stop or len(prices.sessions)):
        simulator.step()
    return np.stack([strategy.p_up[session] for session in sorted(strategy.p_up)])


@pytest.fixture(scope="module")
def folds_forecasts():
    features, labels = build_features(MARKET, "core").panel, build_labels(MARKET, 1)
    stacked = walk(features, labels, Recipe("core", MODELS, ENSEMBLE, GatePolicy()))
    return np.concatenate([item.p_up[-EVERY:] for item in stacked.folds])


def test_on_the_folds_schedule_the_forecasts_are_the_folds(folds_forecasts):
    assert np.nanstd(folds_forecasts, axis=1).mean() > 0.01, "else the agreement would say little"
    np.testing.assert_allclose(forecasts(MARKET), folds_forecasts, rtol=0, atol=1e-12)


def test_on_another_schedule_they_are_others(folds_forecasts):
    again = forecasts(MARKET, every=20, stop=FIRST + 25)
    assert np.nanmax(np.abs(again - folds_forecasts[: len(again)])) > 1e-4


def test_what_is_still_to_come_changes_no_forecast():
    poisoned = MARKET.mapped(lambda _, values: np.where(np.arange(len(values)) < FIRST + 3, values.T, 1.0).T)
    np.testing.assert_array_equal(forecasts(MARKET, stop=FIRST + 3), forecasts(poisoned, stop=FIRST + 3))


def test_the_blocks_of_a_fit_are_those_of_the_folds_but_for_a_last_test_that_is_still_to_come():
    folds = WalkForwardValidator(MODELS).folds(len(MARKET.sessions), 1)
    before = recipe().walk_before(FIRST + EVERY)[1]
    assert before[:-1] == folds[:-1]
    assert (before[-1].fit, before[-1].validation) == (folds[-1].fit, folds[-1].validation)
    assert before[-1].test == Window(FIRST + EVERY, FIRST + EVERY)
