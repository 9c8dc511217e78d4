"""Fit of a window: longer horizons purge more, stopping and tuning use their own purged window, fits are reproducible."""

import numpy as np
import pytest

from foundry_tasks.contract.config import ModelsConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.models.base.lightgbm import LightGBMClassifier
from foundry_tasks.models.base.logistic import LogisticRegression
from foundry_tasks.models.base.xgboost import XGBoostClassifier
from foundry_tasks.models.design import build_design
from foundry_tasks.models.training import FitWindow, WindowTrainer

SESSIONS, TICKERS = 300, 15
ESTIMATORS = [
    LogisticRegression(),
    LightGBMClassifier(rounds=30, min_leaf_rows=20),
    XGBoostClassifier(rounds=30, min_leaf_rows=20),
]
by_name = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: estimator.name)
boosted = pytest.mark.parametrize("estimator", ESTIMATORS[1:], ids=lambda estimator: estimator.name)


@pytest.fixture
def panel(make_features):
    return make_features(SESSIONS, TICKERS)


@pytest.fixture
def target(panel):
    """Reversal under noise, (n_sessions, n_tickers)."""
    noise = np.random.default_rng(1).normal(size=(SESSIONS, TICKERS))
    return (noise - 0.5 * panel["ret_1d"] > 0).astype(float)


def config(**keys):
    return ModelsConfig(**{"threads": 1, "seeds": 2, **keys})


def fitted(estimator, panel, target, window, settings, beside=()):
    """The bytes of the model, fitted together with windows of other horizons."""
    design = build_design(panel, estimator.transform)
    trainer = WindowTrainer(estimator, design, [window, *beside], settings)
    return trainer.fit(target, window).to_bytes()


@by_name
def test_labels_outside_the_window_teach_nothing(estimator, panel, target):
    window = FitWindow(10, 200, purge=1)
    before = fitted(estimator, panel, target, window, config())
    poisoned = target.copy()
    poisoned[:10], poisoned[200:] = 1 - poisoned[:10], 1 - poisoned[200:]
    assert fitted(estimator, panel, poisoned, window, config()) == before


@by_name
def test_a_longer_horizon_has_purged_what_a_shorter_one_still_learns_from(estimator, panel, target):
    """Both share bins; rows between the ends of their windows have no target for the longer horizon."""
    short, long = FitWindow(0, 220, purge=1), FitWindow(0, 200, purge=20)
    before = fitted(estimator, panel, target, long, config(), beside=[short])
    poisoned = target.copy()
    poisoned[200:] = 1 - poisoned[200:]
    assert fitted(estimator, panel, poisoned, long, config(), beside=[short]) == before
    assert fitted(estimator, panel, poisoned, short, config(), beside=[long]) != fitted(
        estimator, panel, target, short, config(), beside=[long]
    )


@by_name
def test_rows_after_the_last_window_move_nothing_not_even_bins_or_scale(estimator, panel, target):
    window = FitWindow(0, 200, purge=1)
    before = fitted(estimator, panel, target, window, config())
    panel.values[:, 200:] *= 1000
    assert fitted(estimator, panel, target, window, config()) == before


@by_name
def test_equal_inputs_and_seeds_give_equal_bytes_and_another_seed_another_booster(estimator, panel, target):
    window = FitWindow(0, 200, purge=1)
    first = fitted(estimator, panel, target, window, config(seed=7))
    assert fitted(estimator, panel, target, window, config(seed=7)) == first
    assert (fitted(estimator, panel, target, window, config(seed=70)) != first) == estimator.seeded


@boosted
def test_as_many_members_as_seeds(estimator, panel, target):
    design = build_design(panel, estimator.transform)
    window = FitWindow(0, 200, purge=1)
    trainer = WindowTrainer(estimator, design, [window], config(seeds=3))
    model = trainer.fit(target, window)
    assert len(model.members) == 3
    rows = design.rows(200, 210)
    members = [member.score(design.values[rows]) for member in model.members]
    np.testing.assert_allclose(model.score(design.values[rows]), np.mean(members, axis=0), rtol=0, atol=1e-12)


@by_name
def test_scores_lie_on_the_sessions_that_were_asked_for(estimator, panel, target):
    window = FitWindow(0, 200, purge=1)
    trainer = WindowTrainer(estimator, build_design(panel, estimator.transform), [window], config())
    model = trainer.fit(target, window)
    part, whole = trainer.score(model, 210, 230), trainer.score(model, 0, SESSIONS)
    assert part.base is None, "a view would keep all sessions in memory"
    assert part.shape == (20, TICKERS)
    np.testing.assert_allclose(part, whole[210:230], rtol=0, atol=1e-12)


# ------------------------------------------------------------------ early stopping
WINDOW = FitWindow(0, 280, purge=5)
LEARNED = 280 - 126 - 5
"""The first purged session. The 126 sessions that begin five later are for validation only."""


@boosted
def test_early_stopping_learns_from_no_session_of_its_window_nor_of_the_purge_before_it(estimator, panel, target):
    settings = config(early_stopping=True)
    design = build_design(panel, estimator.transform)
    trainer = WindowTrainer(estimator, design, [WINDOW], settings)
    learn, stopping = trainer._hold_out(target, WINDOW)
    assert (learn.start, learn.stop) == (0, LEARNED)
    assert (stopping.session.min(), stopping.session.max()) == (LEARNED + 5, 279)
    before = trainer.fit(target, WINDOW).to_bytes()
    purged = target.copy()
    purged[LEARNED : LEARNED + 5] = 1 - purged[LEARNED : LEARNED + 5]
    assert trainer.fit(purged, WINDOW).to_bytes() == before


@boosted
def test_the_stopping_window_chooses_rounds_and_nothing_else(estimator, panel, target):
    """If it shows no skill, fewer trees are kept: the first trees of the full fit."""
    trainer = WindowTrainer(
        estimator, build_design(panel, estimator.transform), [WINDOW], config(early_stopping=True, seeds=1)
    )
    hostile = target.copy()
    hostile[LEARNED + 5 : 280] = 1 - hostile[LEARNED + 5 : 280]
    willing, unwilling = trainer.fit(target, WINDOW), trainer.fit(hostile, WINDOW)
    assert len(unwilling.to_bytes()) < len(willing.to_bytes())


@boosted
def test_sessions_after_the_window_stop_nothing(estimator, panel, target):
    settings = config(early_stopping=True)
    before = fitted(estimator, panel, target, WINDOW, settings)
    target[280:] = 1 - target[280:]
    assert fitted(estimator, panel, target, WINDOW, settings) == before


def test_what_is_not_boosted_has_nothing_to_stop(panel, target):
    plain = fitted(ESTIMATORS[0], panel, target, WINDOW, config())
    assert fitted(ESTIMATORS[0], panel, target, WINDOW, config(early_stopping=True, tuning_trials=2)) == plain


@pytest.mark.parametrize("keys", [{"early_stopping": True}, {"tuning_trials": 2}], ids=str)
def test_a_window_without_room_to_set_sessions_aside_is_refused_with_what_to_do(panel, target, keys):
    with pytest.raises(
        ConfigError, match=r"200 fit sessions are too few .* stopping_sessions=126 .* Switch early_stopping"
    ):
        fitted(ESTIMATORS[1], panel, target, FitWindow(0, 200, purge=5), config(**keys))


# ------------------------------------------------------------------ tuning
@boosted
def test_tuning_is_deterministic_and_judged_inside_the_fit_window(estimator, panel, target):
    settings = config(tuning_trials=3, seeds=1)
    before = fitted(estimator, panel, target, WINDOW, settings)
    poisoned = target.copy()
    poisoned[280:] = 1 - poisoned[280:]
    assert fitted(estimator, panel, poisoned, WINDOW, settings) == before


def test_without_early_stopping_what_tuning_chose_learns_from_the_whole_window(panel, target):
    """The validation window and the purge before it are used for the fit."""
    estimator, settings = ESTIMATORS[1], config(tuning_trials=1, seeds=1)
    before = fitted(estimator, panel, target, WINDOW, settings)
    poisoned = target.copy()
    poisoned[LEARNED : LEARNED + 5] = 1 - poisoned[LEARNED : LEARNED + 5]
    assert fitted(estimator, panel, poisoned, WINDOW, settings) != before
