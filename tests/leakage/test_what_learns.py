"""Everything that is learned is fitted inside its fold: scaler, bins, regimes, rounds, base rate, meta-learner, calibrator."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from foundry_tasks.audit.refits import compared_sessions
from foundry_tasks.audit.stacks import PublishedForecast, audit_stack
from foundry_tasks.contract.config import EnsembleConfig, ModelsConfig, WalkConfig
from foundry_tasks.data.panel import FeaturePanel, FloatArray
from foundry_tasks.features.labels import Labels
from foundry_tasks.models.base.lightgbm import LightGBMClassifier
from foundry_tasks.models.base.logistic import LogisticRegression
from foundry_tasks.models.base.xgboost import XGBoostClassifier
from foundry_tasks.models.calibration import expanding_base_rate
from foundry_tasks.models.design import build_design
from foundry_tasks.models.market_regime import VOLATILITY
from foundry_tasks.models.training import FitWindow, WindowTrainer
from foundry_tasks.walk.folds import WalkForwardValidator
from foundry_tasks.walk.stack_walk import StackInputs, StackWalk, walk_stack

SESSIONS, TICKERS = 330, 12
INPUTS = ("ret_1d", "ret_5d", "vol_20d", VOLATILITY)
FIT = FitWindow(0, 280, purge=5)
ESTIMATORS = {
    "logistic": LogisticRegression(),
    "lightgbm": LightGBMClassifier(rounds=30, min_leaf_rows=20),
    "xgboost": XGBoostClassifier(rounds=30, min_leaf_rows=20),
}
by_model = pytest.mark.parametrize("name", ESTIMATORS)
boosted = pytest.mark.parametrize("name", ["lightgbm", "xgboost"])


# ------------------------------------------------------------------ base models
@pytest.fixture
def panel():
    values = np.random.default_rng(0).normal(size=(len(INPUTS), SESSIONS, TICKERS)).astype(np.float32)
    values[-1] = values[-1][:, :1]
    values[:2][np.random.default_rng(3).random((2, SESSIONS, TICKERS)) < 0.1] = np.nan
    sessions = np.datetime64("2020-01-01") + np.arange(SESSIONS)
    return FeaturePanel(sessions, tuple(f"T{i:02}" for i in range(TICKERS)), INPUTS, values)


@pytest.fixture
def target(panel):
    noise = np.random.default_rng(1).normal(size=(SESSIONS, TICKERS))
    return (noise - 0.5 * np.nan_to_num(panel["ret_1d"]) > 0).astype(float)


def fitted(name, panel, target, *, window=FIT, beside=(), **keys):
    """The bytes of a fitted model. beside: windows of other horizons, whose rows it shares."""
    config = ModelsConfig(**{"seeds": 1, "threads": 1, **keys})
    estimator = ESTIMATORS[name]
    trainer = WindowTrainer(estimator, build_design(panel, estimator.transform), [window, *beside], config)
    return trainer.fit(target, window).to_bytes()


RECIPES = {
    "fixed rounds": {},
    "early stopping": {"early_stopping": True},
    "tuning": {"tuning_trials": 2},
    "per regime": {"per_regime": True},
}


@pytest.mark.parametrize("recipe", RECIPES)
@by_model
def test_nothing_after_its_fit_window_moves_a_model(name, recipe, panel, target):
    """Neither inputs (scalers, bins, regimes) nor labels (rounds, parameters)."""
    before = fitted(name, panel, target, **RECIPES[recipe])
    panel.values[:, FIT.stop :] = 1000 * (panel.values[:, FIT.stop :] > 0.5)  # larger, with many ties
    target[FIT.stop :] = 1 - target[FIT.stop :]
    assert fitted(name, panel, target, **RECIPES[recipe]) == before


@by_model
def test_what_a_longer_horizon_purges_teaches_it_nothing_though_a_shorter_one_still_learns_it(name, panel, target):
    long, short = FitWindow(0, 250, purge=20), FitWindow(0, 269, purge=1)
    before = fitted(name, panel, target, window=long, beside=[short])
    target[long.stop :] = 1 - target[long.stop :]
    assert fitted(name, panel, target, window=long, beside=[short]) == before


@boosted
def test_the_purge_before_the_stopping_window_teaches_nothing(name, panel, target):
    stops = FIT.stop - ModelsConfig().stopping_sessions
    before = fitted(name, panel, target, early_stopping=True)
    target[stops - FIT.purge : stops] = 1 - target[stops - FIT.purge : stops]
    assert fitted(name, panel, target, early_stopping=True) == before


@boosted
def test_the_sessions_that_stop_a_model_are_its_fit_windows_last(name, panel, target):
    before = fitted(name, panel, target, early_stopping=True)
    stops = FIT.stop - ModelsConfig().stopping_sessions
    target[stops : FIT.stop] = 1 - target[stops : FIT.stop]
    assert fitted(name, panel, target, early_stopping=True) != before


@by_model
def test_scores_of_a_session_are_the_same_whatever_is_scored_beside_it(name, panel, target):
    """No batch statistics: live, one session is scored alone; in a fold, sessions are scored together."""
    estimator = ESTIMATORS[name]
    trainer = WindowTrainer(
        estimator, build_design(panel, estimator.transform), [FIT], ModelsConfig(seeds=1, threads=1)
    )
    model = trainer.fit(target, FIT)
    alone = FeaturePanel(panel.sessions[300:301], panel.tickers, panel.names, panel.values[:, 300:301])
    once = WindowTrainer(estimator, build_design(alone, estimator.transform), [FitWindow(0, 1, 1)], ModelsConfig())
    np.testing.assert_allclose(once.score(model, 0, 1)[0], trainer.score(model, 285, 330)[15], rtol=0, atol=1e-12)


# ------------------------------------------------------------------ base rate
@pytest.mark.parametrize("label_span", [1, 5, 20])
def test_the_base_rate_is_made_of_labels_that_have_matured(label_span):
    up = (np.random.default_rng(2).random((80, 6)) > 0.4).astype(float)
    rate = expanding_base_rate(up, label_span)
    for t in range(80):
        matured = up[: max(t + 1 - label_span, 0)]
        assert rate[t] == pytest.approx(matured.mean() if len(matured) else 0.5, abs=1e-12)


# ------------------------------------------------------------------ the stack
HORIZON = 5
WALK = WalkConfig(folds=2, test_sessions=110, validation_sessions=20, warmup_blocks=3, min_fit_sessions=50)
N_SESSIONS = 620
FOLDS = WalkForwardValidator(WALK).folds(N_SESSIONS, HORIZON)
REPORTED = [fold for fold in FOLDS if fold.reported]


@dataclass(frozen=True)
class Scene:
    """Inputs of a stack's walk: base models' scores, the market's regime, labels."""

    scores: dict[str, FloatArray]
    regime: dict[str, FloatArray]
    labels: Labels

    def with_future(self, start: int) -> "Scene":
        """The same inputs, with other values from a session on."""
        rng = np.random.default_rng(99)

        def other(values: FloatArray) -> FloatArray:
            changed = values.copy()
            changed[start:] = rng.normal(size=changed[start:].shape)
            return changed

        def turned(values: FloatArray) -> FloatArray:
            changed = values.copy()
            changed[start:] = 1 - changed[start:]
            return changed

        returned, *known, size, volatility = vars(self.labels).values()
        return Scene(
            {name: other(values) for name, values in self.scores.items()},
            {name: other(values) for name, values in self.regime.items()},
            Labels(other(returned), *map(turned, known), other(size), other(volatility)),
        )


def scene(kind: str, seed: int = 0) -> Scene:
    """bent: the size of one score is informative, its sign is not. Trees can use this, an average cannot."""
    rng = np.random.default_rng(seed)
    shape = (N_SESSIONS, 30)
    scores = {"one": rng.normal(size=shape), "two": rng.normal(size=shape)}
    says = {"bent": 1.5 * np.abs(scores["one"]), "straight": 0.2 * scores["one"], "noise": 0.0}[kind]
    returns = rng.normal(size=shape) + says
    above = (returns > np.median(returns, axis=1, keepdims=True)).astype(float)
    up, median, sector, move = ((returns > 0).astype(float), above, above, np.abs(returns))
    for values in (returns, up, median):
        values[-HORIZON:] = np.nan
    return Scene(scores, {VOLATILITY: rng.uniform(size=N_SESSIONS)}, Labels(returns, up, median, sector, move, move))


def inputs_of(made: Scene) -> StackInputs:
    return StackInputs(
        lambda _, window: {name: values[window.slice] for name, values in made.scores.items()},
        made.regime,
        made.labels,
        horizon=HORIZON,
        label_span=HORIZON,
    )


def walked(made: Scene, **keys: object) -> StackWalk:
    return walk_stack(FOLDS, inputs_of(made), EnsembleConfig(seeds=1, threads=1, **keys))


CALIBRATIONS = {
    "slope": {},
    "platt": {"calibration": "platt"},
    "isotonic": {"calibration": "isotonic"},
    "beta": {"calibration": "beta"},
    "regimes": {"regime_scale": True, "regime_intercept": True},
}


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("kind", ["straight", "bent"])
def test_a_folds_stack_was_taught_by_nothing_after_its_fit_window(kind, calibration):
    """Meta-learner, its acceptance, calibrator and regimes: purged by a horizon before the fold's validation, like the fit."""
    made = scene(kind)
    before = walked(made, **CALIBRATIONS[calibration])
    for place, fold in enumerate(REPORTED):
        after = walked(made.with_future(fold.fit.stop), **CALIBRATIONS[calibration])
        assert after.folds[place].stack == before.folds[place].stack
        assert after.final != before.final, "the poison is one"


def test_the_meta_learner_of_a_fold_never_saw_that_folds_test():
    made = scene("bent")
    before = walked(made)
    assert before.folds[-1].stack.meta is not None
    fold = REPORTED[-1]
    after = walked(made.with_future(fold.test.start))
    assert after.folds[-1].stack.meta == before.folds[-1].stack.meta


def test_the_calibrator_of_a_fold_never_saw_that_folds_test():
    made = scene("straight")
    before = walked(made)
    fold = REPORTED[-1]
    turned = replace(made, labels=made.with_future(fold.test.start).labels)
    after = walked(turned)
    assert after.folds[-1].stack.calibrator == before.folds[-1].stack.calibrator


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("kind", ["straight", "bent"])
def test_the_audit_refits_the_stack_of_a_fold_and_finds_nothing(kind, calibration):
    """Also where the meta-learner is used: its trees are then fitted again."""
    made, config = scene(kind), EnsembleConfig(seeds=1, threads=1, **CALIBRATIONS[calibration])
    forecasts = walked(made, **CALIBRATIONS[calibration]).folds
    assert (forecasts[-1].stack.meta is None) == (kind == "straight")
    for forecast in forecasts:
        sessions = compared_sessions(forecast.fold, np.random.default_rng(4))
        rows = sessions - forecast.window.start
        rate = np.broadcast_to(forecast.base_rate[rows, None], forecast.p_up[rows].shape)
        published = PublishedForecast(forecast.p_up[rows], rate, forecast.scores[rows])
        folds = FOLDS[: FOLDS.index(forecast.fold) + 1]
        found = audit_stack(folds, inputs_of(made), config, published, sessions, np.random.default_rng(5))
        assert found.leaks == ()
        only_meta = kind == "bent" and forecast is forecasts[-1]
        assert found.not_audited == (
            ("calibrator of fold2 at 5d, since its scores are those of meta-learners of many blocks",)
            if only_meta
            else ()
        )


@pytest.mark.parametrize("seed", range(4))
def test_a_meta_learner_that_has_learned_noise_is_not_used(seed):
    """It is judged on blocks that it was not fitted on; on its training blocks it would win."""
    made = walked(scene("noise", seed))
    assert [made.final.meta, *(forecast.stack.meta for forecast in made.folds)] == [None] * 3


def test_p_up_at_t_knows_a_base_rate_of_matured_labels_alone():
    made = scene("straight")
    before = walked(made).folds[-1]
    for t in (before.window.start, REPORTED[-1].test.start + 7):
        matured = t + 1 - HORIZON
        turned = replace(made, labels=made.with_future(matured).labels)
        after = walked(turned).folds[-1]
        at = t - before.window.start
        assert after.base_rate[at] == before.base_rate[at]
        assert after.base_rate[at + 1] != before.base_rate[at + 1], "the poison is one"
