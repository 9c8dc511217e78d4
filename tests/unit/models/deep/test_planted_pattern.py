"""Both networks and each head learn a pattern in the order of sessions, and learn nothing from noise."""

import numpy as np
import pytest

from foundry_tasks.contract.config import DEEP_MODELS, ModelsConfig
from foundry_tasks.evaluation.metrics import session_auc, session_rank_ic
from foundry_tasks.models.base.lightgbm import LightGBMClassifier
from foundry_tasks.models.base_models import BASE_MODELS, estimator_for
from foundry_tasks.models.deep.deep_classifier import NETWORKS
from foundry_tasks.models.deep.journal import NO_JOURNAL
from foundry_tasks.models.deep.training import LearningRows, Training, plan_for
from foundry_tasks.models.design import build_design
from foundry_tasks.models.scaler import Scaler
from foundry_tasks.models.training import FitWindow, WindowTrainer
from foundry_tasks.statistics.block_means import BlockRule, mean_interval
from tests.unit.models.deep.networks import noise_panel, remembered, with_moves

SESSIONS, TICKERS, FITTED = 350, 40, 200
PANEL = noise_panel(SESSIONS, TICKERS, seed=1)
"""A panel whose ret_1d is that of a random walk."""
CONFIG = ModelsConfig(
    models=DEEP_MODELS, sequence_sessions=5, deep_size="small", deep_epochs=6, learning_rate=5e-3, seeds=1, threads=1
)
TASKS = ("sign", "size", "volatility")
both = pytest.mark.parametrize("name", DEEP_MODELS)


def later_aucs(estimator, labels):
    """AUC of each session after the fit window."""
    design, window = build_design(PANEL, estimator.transform), FitWindow(0, FITTED, purge=1)
    trainer = WindowTrainer(estimator, design, [window], CONFIG)
    later = FITTED + CONFIG.gap_sessions + 1
    scores = trainer.score(trainer.fit(labels, window), later, SESSIONS)
    return session_auc(scores, (labels if labels.ndim == 2 else labels[..., 0])[later:])


def interval(aucs):
    """99 % interval of the mean, by blocks of sessions."""
    return mean_interval(aucs, horizon=1, rule=BlockRule(0.99, 12))


@both
def test_what_two_sessions_ago_said_is_learned(name):
    aucs = later_aucs(estimator_for(name, CONFIG), remembered(PANEL, lag=2))
    assert aucs.mean() >= 0.60


def test_the_sign_is_learned_as_well_beside_a_size_and_a_volatility():
    labels = remembered(PANEL, lag=2)
    alone = later_aucs(estimator_for("lstm_transformer", CONFIG), labels)
    config = CONFIG.model_copy(update={"deep_tasks": TASKS})
    beside = later_aucs(estimator_for("lstm_transformer", config), with_moves(PANEL, labels))
    assert alone.mean() != beside.mean() > alone.mean() - 0.01


def test_a_size_that_two_sessions_ago_foretold_is_learned_by_its_head_and_no_sign_is_seen_in_it():
    """The sign is random; the size follows an input that does not depend on the sign."""
    coins = (np.random.default_rng(3).random(PANEL["ret_1d"].shape) > 0.5).astype(float)
    target = with_moves(PANEL, coins)
    design = build_design(PANEL, "sequence")
    fitted, later = (design.rows(*sessions) for sessions in ((0, FITTED), (FITTED + 5, SESSIONS)))
    sequences = design.values[fitted]
    config = CONFIG.model_copy(update={"deep_tasks": TASKS})
    rows = LearningRows(
        sequences, design.from_wide(target, fitted), Scaler.of(sequences.known_values()), 5, config.deep_tasks
    )
    training = Training(
        "lstm_transformer", NETWORKS["lstm_transformer"], config, plan_for(config), rows, None, NO_JOURNAL
    )
    network = training._begin(3)
    for epoch in range(config.deep_epochs):
        training._epoch(network, np.random.default_rng(epoch))
    said = network.predict(rows.scaler.apply(design.values[later].windows(5)), verbose=0)
    foretold = design.to_wide(said["size"][:, 0].astype(float), later)[FITTED + 5 :]
    known = session_rank_ic(foretold, target[FITTED + 5 :, :, 1])
    assert known.mean() > 0.5
    sign = design.to_wide(said["sign"][:, 0].astype(float), later)[FITTED + 5 :]
    found = interval(session_auc(sign, coins[FITTED + 5 :]))
    assert found.lower < 0.5 < found.upper


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
