"""Group 5, end to end: prices in, P(up) out, and no forecast depends on later prices."""

import numpy as np
import pytest

from foundry_tasks.contract.config import EnsembleConfig, GatePolicy, ModelsConfig
from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.evaluation.metrics import session_auc
from foundry_tasks.features import build_features
from foundry_tasks.features.labels import build_labels, label_span
from foundry_tasks.models.base.logistic import LogisticRegression
from foundry_tasks.models.bundle import Bundle
from foundry_tasks.models.design import build_design
from foundry_tasks.models.training import WindowTrainer
from foundry_tasks.walk.block_fits import fit_window
from foundry_tasks.walk.evidence import FoldOutput, gather_evidence
from foundry_tasks.walk.study import Recipe, shifted_labels, walk
from tests.leakage.markets import simulated_market
from tests.leakage.ragged import ragged_market, with_future

FIRST_TEST, TEST = 240, 40
HORIZONS = (1, 5)
at_each_horizon = pytest.mark.parametrize("horizon", HORIZONS)


def recipe(horizon=1, feature_set="core", **keys):
    models = {"models": ("logistic",), "seeds": 1, "threads": 1, "folds": 3, "test_sessions": TEST}
    models |= {"validation_sessions": 20, "warmup_blocks": 1, "min_fit_sessions": 50, "first_test_session": FIRST_TEST}
    return Recipe(
        feature_set,
        ModelsConfig(horizons=(horizon,), **{**models, **keys}),
        EnsembleConfig(seeds=1, threads=1),
        GatePolicy(),
    )


def forecasts(prices, recipe, *, shift=0):
    """Forecasts of the reported folds. shift: sessions by which labels are shifted from their features."""
    labels = shifted_labels(build_labels(prices, recipe.horizon), shift)
    return walk(build_features(prices, recipe.feature_set).panel, labels, recipe).folds


@pytest.fixture(scope="module")
def prices():
    return ragged_market()


@pytest.fixture(scope="module")
def whole(prices):
    return {horizon: forecasts(prices, recipe(horizon)) for horizon in HORIZONS}


def same_up_to(at, before, after):
    """Assert equal forecasts up to session index `at`, and equal intermediate results."""
    compared = 0
    for one, other in zip(before, after, strict=False):
        if one.fold.test.start <= at:
            assert other.stack == one.stack
            until = slice(at + 1 - one.window.start)
            for figures in ("base_rate", "scores", "p_up"):
                np.testing.assert_array_equal(getattr(other, figures)[until], getattr(one, figures)[until])
            compared += 1
    assert compared


# ------------------------------------------------------------------ another future
@at_each_horizon
@pytest.mark.parametrize("folds", [2, 3])
def test_forecasts_of_folds_before_a_cut_are_those_of_the_whole_history(prices, whole, folds, horizon):
    cut = FIRST_TEST + folds * TEST
    same_up_to(cut - 1, whole[horizon], forecasts(prices.up_to(cut), recipe(horizon, folds=folds)))


@at_each_horizon
@pytest.mark.parametrize("future", ["noise", "shuffled"])
@pytest.mark.parametrize("at", [FIRST_TEST, FIRST_TEST + 57, FIRST_TEST + 80])
def test_forecasts_up_to_t_are_the_same_in_every_future(prices, whole, at, future, horizon):
    """Sessions: the first of a test window, one in the middle of the next, and the first of the last."""
    other = forecasts(with_future(prices, at, future), recipe(horizon))
    same_up_to(at, whole[horizon], other)
    assert not np.array_equal(other[-1].p_up, whole[horizon][-1].p_up, equal_nan=True), "the poison is one"


@at_each_horizon
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_folds_stack_is_the_same_whatever_happens_from_its_validation_on(prices, whole, number, horizon):
    before = whole[horizon][number - 1]
    after = forecasts(with_future(prices, before.fold.validation.start - 1, "noise"), recipe(horizon))[number - 1]
    assert after.stack == before.stack
    assert not np.array_equal(after.p_up, before.p_up, equal_nan=True), "the poison is one"


@at_each_horizon
def test_a_run_of_today_says_what_the_walk_says_of_today(prices, whole, horizon):
    """Live equals walk-forward: prices end today, features and model are computed again, the session is scored alone."""
    last, estimator = whole[horizon][-1], LogisticRegression()
    window = fit_window(last.fold, label_span(horizon, "close"))
    for t in range(last.fold.test.start, last.fold.test.stop, 13):
        known = prices.up_to(t + 1)
        features = build_features(known, "core").panel
        trainer = WindowTrainer(estimator, build_design(features, "rank"), [window], recipe(horizon).models)
        model = trainer.fit(build_labels(known, horizon).sector, window)
        rate = float(last.base_rate[t - last.window.start])
        today = FeaturePanel(features.sessions[-1:], features.tickers, features.names, features.values[:, -1:])
        bundle = Bundle("us", horizon, features.names, rate, {"logistic": model}, last.stack, {})
        np.testing.assert_allclose(bundle.p_up(today)[0], last.p_up[t - last.window.start], rtol=0, atol=1e-12)


# ------------------------------------------------------------------ what it is judged by
def test_a_forecast_is_judged_by_the_labels_of_its_own_sessions(prices, whole):
    """An oracle in place of P(up) is right on every session; with labels shifted by one session it is not."""
    labels = build_labels(prices, 5)
    outputs = [FoldOutput(one.fold, labels.up[one.window.slice], np.full(one.p_up.shape, 0.5)) for one in whole[5]]
    evidence = gather_evidence(outputs, labels, prices.member, horizon=5, leaks=())
    np.testing.assert_array_equal(evidence.up, evidence.p_up)
    for accuracy in (*evidence.validation_up, *evidence.test_up):
        assert np.nanmin(accuracy) == 1.0


def skill(prices, recipe, *, shift=0):
    """Mean per-session AUC of the reported test windows for the relative label, minus ½, in standard errors of the null."""
    found = forecasts(prices, recipe, shift=shift)
    median = shifted_labels(build_labels(prices, recipe.horizon), shift).median
    auc = np.concatenate([session_auc(one.scores[-len(one.fold.test) :], median[one.fold.test.slice]) for one in found])
    auc = auc[np.isfinite(auc)]
    half = len(prices.tickers) / 2
    of_a_session = (2 * half + 1) / (12 * half * half)  # Mann and Whitney (1947)
    return (auc.mean() - 0.5) / np.sqrt(of_a_session / len(auc))


@pytest.mark.parametrize("feature_set", ["core", "extended"])
@pytest.mark.parametrize("seed", range(3))
def test_a_random_walk_cannot_be_forecast(seed, feature_set):
    """A random walk has no signal, so any skill is a leak."""
    noise = simulated_market(sessions=360, tickers=20, seed=seed)
    assert abs(skill(noise, recipe(feature_set=feature_set))) < 3.5


def test_what_can_be_forecast_is_found_and_lost_with_labels_of_other_sessions():
    """Power: without this test, a model without any skill would pass the test on random walks."""
    reversal = simulated_market(sessions=360, tickers=20, signal=0.4)
    assert skill(reversal, recipe()) > 5
    assert abs(skill(reversal, recipe(), shift=90)) < 3.5
