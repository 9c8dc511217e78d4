"""What is only told by the order of sessions is learned, by both networks; what is told by nothing is not."""

import numpy as np
import pytest

from foundry_tasks.contract.config import DEEP_MODELS, ModelsConfig
from foundry_tasks.evaluation.metrics import session_auc
from foundry_tasks.models.base_models import BASE_MODELS, estimator_for
from foundry_tasks.models.design import build_design
from foundry_tasks.models.lightgbm_classifier import LightGBMClassifier
from foundry_tasks.models.training import FitWindow, WindowTrainer
from foundry_tasks.validation.bootstrap import mean_interval
from tests.unit.models.deep.networks import noise_panel, remembered

SESSIONS, TICKERS, FITTED = 350, 40, 200
PANEL = noise_panel(SESSIONS, TICKERS, seed=1)
"""Its ret_1d is that of a random walk."""
CONFIG = ModelsConfig(
    models=DEEP_MODELS, sequence_sessions=5, deep_size="small", deep_epochs=6, learning_rate=5e-3, seeds=1, threads=1
)
both = pytest.mark.parametrize("name", DEEP_MODELS)


def later_aucs(estimator, labels):
    """AUC of each session that was not learned from."""
    design, window = build_design(PANEL, estimator.transform), FitWindow(0, FITTED, reach=1)
    trainer = WindowTrainer(estimator, design, [window], CONFIG)
    scores = trainer.score(trainer.fit(labels, window), FITTED + CONFIG.gap_sessions + 1, SESSIONS)
    return session_auc(scores, labels[FITTED + CONFIG.gap_sessions + 1 :])


def interval(aucs):
    """Of the mean, by blocks of sessions; one truly random walk in a hundred lies outside."""
    return mean_interval(aucs, horizon=1, confidence=0.99, resamples=1000, min_blocks=12, seed=0)


@both
def test_what_two_sessions_ago_said_is_learned(name):
    aucs = later_aucs(estimator_for(name, CONFIG), remembered(PANEL, lag=2))
    assert aucs.mean() >= 0.60


@pytest.mark.parametrize(
    "estimator", [LightGBMClassifier(min_leaf_rows=20), BASE_MODELS["logistic"]], ids=lambda one: one.name
)
def test_models_that_see_one_session_cannot_learn_it(estimator):
    aucs = later_aucs(estimator, remembered(PANEL, lag=2))
    assert 0.47 < aucs.mean() < 0.53


@both
def test_the_next_step_of_a_random_walk_is_not_learned(name):
    tomorrow = np.roll(PANEL["ret_1d"], -1, axis=0)
    labels = (tomorrow > np.median(tomorrow, axis=1, keepdims=True)).astype(float)
    labels[-1] = np.nan
    found = interval(later_aucs(estimator_for(name, CONFIG), labels))
    assert found.lower < 0.5 < found.upper
    assert found.upper - found.lower < 0.06, "so narrow that an edge would show"
