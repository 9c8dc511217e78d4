"""The leakage audit finds nothing in the pipeline's features, and finds each kind of planted leak."""

import numpy as np
import pytest

from foundry_tasks.audit import leakage
from foundry_tasks.audit.planted_leaks import centred_mean, scaled_on_all_rows, tomorrows_return
from foundry_tasks.contract.config import WalkConfig
from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.features import build_features
from foundry_tasks.features.labels import build_labels
from foundry_tasks.walk.folds import WalkForwardValidator
from tests.leakage.markets import simulated_market

AT = 330
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def prices():
    return simulated_market(sessions=400, tickers=12)


def clean(panel):
    return build_features(panel, "extended").panel


def leaking(feature):
    """The pipeline's features and one that leaks."""

    def build(panel):
        made = clean(panel)
        values = np.concatenate([made.values, feature(panel)[None].astype(np.float32)])
        return FeaturePanel(made.sessions, made.tickers, (*made.names, "planted"), values)

    return build


def in_blocks(build):
    """Features in two blocks, like the pipeline's for a long history."""

    def blocks(panel):
        made = build(panel)
        middle = len(made.sessions) // 2
        yield made.up_to(middle)
        yield made.last(len(made.sessions) - middle)

    return blocks


def test_the_pipelines_own_features_are_clean(prices):
    assert leakage.audit_features(prices, clean(prices), in_blocks(clean), at=AT, rng=RNG) == ()


@pytest.mark.parametrize("feature", [tomorrows_return, centred_mean, scaled_on_all_rows])
def test_a_feature_that_sees_the_future_is_found_by_name(prices, feature):
    build = leaking(feature)
    found = leakage.audit_features(prices, build(prices), in_blocks(build), at=AT, rng=RNG)
    assert found
    assert all("feature planted" in line for line in found)


def test_features_that_are_not_there_again_are_found_by_name(prices):
    made = clean(prices)
    found = leakage.audit_features(prices, made, lambda panel: [clean(panel).up_to(AT)], at=AT, rng=RNG)
    assert {line.split()[1] for line in found} == set(made.names)


def test_no_feature_changes_when_a_history_is_rescaled(prices):
    assert leakage.audit_rescaling(prices, clean(prices), in_blocks(clean)) == ()


def test_a_feature_in_dollars_is_found_by_rescaling(prices):
    build = leaking(lambda panel: panel.adjusted_close)
    found = leakage.audit_rescaling(prices, build(prices), in_blocks(build))
    assert found == ("feature planted changes when a ticker's history is rescaled",)


@pytest.mark.parametrize("entry", ["close", "next_open", "next_close"])
def test_the_pipelines_own_labels_are_clean(prices, entry):
    labels = {h: vars(build_labels(prices, h, entry)) for h in (1, 5, 20)}
    assert leakage.audit_labels(prices, labels, entry, at=AT, rng=RNG) == ()


def test_a_label_that_looks_further_than_it_says_is_found(prices):
    further = build_labels(prices, 8)
    found = leakage.audit_labels(
        prices, {5: {"up": further.up, "volatility": further.volatility}}, "close", at=AT, rng=RNG
    )
    assert found == (
        "the 5-day label up looks further ahead than 5 sessions",
        "the 5-day label volatility looks further ahead than 5 sessions",
    )


def test_the_walks_own_folds_are_clean():
    folds = WalkForwardValidator(WalkConfig()).folds(1500, horizon=20)
    assert leakage.audit_folds(folds, label_span=20) == ()


def test_unpurged_labels_are_found():
    folds = WalkForwardValidator(WalkConfig()).folds(1500, horizon=1)
    found = leakage.audit_folds(folds, label_span=20)
    assert "fold1: 1 sessions between fit and validation, labels reach 20" in found


def test_overlapping_windows_are_found():
    fold = Fold(1, Window(0, 220), Window(200, 260), Window(265, 300))
    later = Fold(2, Window(0, 250), None, Window(290, 320))
    found = leakage.audit_folds([fold, later], label_span=5)
    assert found == ("fold1: fit and validation overlap by 20 sessions", "tests of fold1 and fold2 overlap")


def score(inputs, labels, fit, at, *, scaler_rows):
    """A least-squares model with a scaler, scored on one session. inputs: (n_sessions, n_tickers, n_inputs)."""
    mean, deviation = inputs[scaler_rows].mean(axis=(0, 1)), inputs[scaler_rows].std(axis=(0, 1))
    scaled = (inputs - mean) / deviation
    x, y = scaled[fit].reshape(-1, inputs.shape[-1]), labels[fit].ravel() - 0.5
    weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)
    return scaled[at] @ weights


@pytest.mark.parametrize(("scaler_rows", "leaks"), [(slice(0, 200), False), (slice(None), True)])
def test_a_scaler_fitted_on_all_rows_is_found(scaler_rows, leaks):
    rng = np.random.default_rng(1)
    inputs, labels = rng.normal(size=(300, 20, 3)), (rng.random((300, 20)) > 0.5).astype(float)
    poisoned = inputs.copy()
    poisoned[221:] = rng.normal(3, 5, size=poisoned[221:].shape)
    once, again = (score(x, labels, slice(0, 200), 220, scaler_rows=scaler_rows) for x in (inputs, poisoned))
    assert bool(leakage.audit_scores("model", once, once, again)) is leaks


def test_published_scores_that_no_refit_gives_are_found():
    scores = np.array([0.1, 0.2])
    found = leakage.audit_scores("model", scores + 1e-6, scores, scores)
    assert found == ("model: the published scores are not those of a refit on the fit window",)


def test_poison_spares_every_session_up_to_the_date(prices):
    spoilt = leakage.poisoned(prices, AT, float("nan"))
    for name, values in prices.fields.items():
        assert np.array_equal(spoilt.fields[name][: AT + 1], values[: AT + 1])
        assert np.isnan(spoilt.fields[name][AT + 1 :]).all()
    assert np.array_equal(spoilt.benchmark[: AT + 1], prices.benchmark[: AT + 1])


@pytest.mark.parametrize("n_tasks", [(), (3,)], ids=["one task", "several tasks"])
def test_poison_of_labels_spares_what_was_learned_and_reaches_every_task(n_tasks):
    labels = RNG.normal(size=(50, 12, *n_tasks))
    poisoned = leakage.randomised_labels(labels, 30, RNG)
    assert np.array_equal(poisoned[:30], labels[:30])
    assert (poisoned[30:] != labels[30:]).all()
