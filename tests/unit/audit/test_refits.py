"""What the leakage audit refits, and that a walk without a fault has no finding whatever is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.audit.refits import LONGEST, Refitter, compared_sessions, draw_plan
from foundry_tasks.contract.config import DEEP_MODELS, ModelsConfig
from foundry_tasks.features.build import build_features
from foundry_tasks.features.labels import build_labels
from foundry_tasks.models.base_models import BASE_MODELS
from foundry_tasks.models.design import Designs
from foundry_tasks.walk.block_fits import fit_walk
from foundry_tasks.walk.folds import WalkForwardValidator
from tests.leakage.markets import simulated_market
from tests.leakage.walks import walks

MODELS = tuple(BASE_MODELS)


@given(walks(), st.lists(st.sampled_from(MODELS), min_size=1, unique=True), st.integers(0, 2**32))
def test_every_model_is_refitted_and_a_slow_one_in_no_window_that_is_much_longer_than_the_earliest(walk, models, seed):
    plan = draw_plan({walk.horizon: walk.folds}, models, np.random.default_rng(seed))
    assert {refit.name for refit in plan.refits} == set(models)
    assert walk.folds[plan.block].reported
    fast = {name for name in models if not BASE_MODELS[name].seeded}
    boosters = set(models) - fast - set(DEEP_MODELS)
    longer = [r for r in plan.refits if len(walk.folds[r.block].fit) > LONGEST * len(walk.folds[0].fit)]
    slow_and_longer = [refit.name for refit in longer if refit.name not in fast]
    assert set(slow_and_longer) <= (set() if fast else boosters)
    assert len(slow_and_longer) <= 1
    if fast | boosters:
        assert plan.block in {refit.block for refit in plan.refits}


@given(walks(), st.integers(0, 2**32))
def test_a_fast_model_is_refitted_in_every_reported_fold(walk, seed):
    plan = draw_plan({walk.horizon: walk.folds}, ["logistic", "xgboost"], np.random.default_rng(seed))
    refitted = [walk.folds[refit.block] for refit in plan.refits if refit.name == "logistic"]
    assert refitted == walk.reported


@given(walks(), st.integers(0, 2**32))
def test_compared_sessions_hold_the_first_and_the_last_of_validation_and_test(walk, seed):
    for fold in walk.reported:
        compared = compared_sessions(fold, np.random.default_rng(seed)).tolist()
        assert compared == sorted(set(compared))
        for window in (fold.validation, fold.test):
            assert {window.start, window.stop - 1} <= set(compared)
        assert all(at in range(fold.validation.start, fold.test.stop) for at in compared)


def test_what_no_refit_covers_is_named():
    walk = {h: WalkForwardValidator(ModelsConfig()).folds(1260, h) for h in (1, 5)}
    plan = draw_plan(walk, ["logistic", "lightgbm", "lstm_transformer"], np.random.default_rng(3))
    other, drawn = 6 - plan.horizon, walk[plan.horizon][plan.block].name
    assert plan.not_audited == (
        f"base models, stack and calibrator at {other}d: {plan.horizon}d was drawn",
        f"lightgbm, lstm_transformer at {plan.horizon}d in blocks other than warmup2, whose fit window is the shortest",
        f"stack and calibrator at {plan.horizon}d in folds other than {drawn}",
    )


class Walked:
    """A walk of a small market, fitted in memory."""

    def __init__(self, models: tuple[str, ...], **keys: object) -> None:
        prices = simulated_market(sessions=360, tickers=12, seed=2, signal=0.3)
        settings = {
            "folds": 2,
            "test_sessions": 30,
            "validation_sessions": 20,
            "warmup_blocks": 1,
            "threads": 1,
            "seeds": 1,
        }
        self.config = ModelsConfig(models=models, horizons=(1, 5), **(settings | keys))
        self.features = build_features(prices, "extended").panel
        self.walk = {h: WalkForwardValidator(self.config).folds(360, h) for h in (1, 5)}
        labels = {h: build_labels(prices, h) for h in self.walk}
        spans = {h: h for h in self.walk}
        designs = Designs(self.features)
        fitted = {h: fit_walk(designs, labels[h], self.config, self.walk, spans, h) for h in self.walk}

        def published(horizon, name, fold, at):
            return fitted[horizon].scores[fold][name][at - (fold.validation or fold.test).start]

        self.refitter = Refitter(
            self.config, self.walk, spans, self.features, lambda h, kind: vars(labels[h])[kind], published
        )

    def leaks(self, seed: int, refitter: Refitter | None = None) -> list[str]:
        rng = np.random.default_rng(seed)
        plan = draw_plan(self.walk, self.config.models, rng)
        return [leak for _, found in (refitter or self.refitter).audit(plan, rng) for leak in found]


@pytest.fixture(scope="module")
def walked():
    return Walked(("logistic",))


@pytest.mark.slow(5)
def test_thirty_draws_find_nothing_in_a_walk_without_a_fault(walked):
    assert [walked.leaks(seed) for seed in range(30)] == [[]] * 30


@pytest.mark.slow(20)
@pytest.mark.parametrize("recipe", [{}, {"per_regime": True}, {"walk": "rolling"}, {"early_stopping": True}], ids=str)
def test_no_draw_finds_anything_in_boosters_without_a_fault(recipe):
    walked = Walked(("logistic", "lightgbm", "xgboost"), **recipe)
    assert [walked.leaks(seed) for seed in range(4)] == [[]] * 4


def test_a_score_of_one_compared_session_that_differs_is_found(walked):
    """Published scores are compared session by session, the last one of the test too."""

    def published(horizon, name, fold, at):
        scores = walked.refitter.published(horizon, name, fold, at).copy()
        scores[-1, 0] += 1e-6
        return scores

    for leak in walked.leaks(0, replace(walked.refitter, published=published)):
        assert leak.endswith("the published scores are not those of a refit on the fit window")
    assert len(walked.leaks(0, replace(walked.refitter, published=published))) == 2
