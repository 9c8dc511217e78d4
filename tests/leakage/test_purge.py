"""Group 2, the purge: no label of a window reaches into the next, by the calendar and by the prices that labels use."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.audit.leakage import audit_folds
from foundry_tasks.contract.config import DEEP_MODELS, ModelsConfig, WalkConfig
from foundry_tasks.contract.documents import Window
from foundry_tasks.features import build_features
from foundry_tasks.features.labels import build_labels, label_span
from foundry_tasks.models.base.logistic import LogisticRegression
from foundry_tasks.models.design import build_design
from foundry_tasks.models.training import FitWindow, WindowTrainer
from foundry_tasks.walk.folds import WalkForwardValidator
from tests.leakage.ragged import ragged_market, with_future
from tests.leakage.walks import walks

ENTRIES = ("close", "next_open", "next_close")
WALK = WalkConfig(folds=2, test_sessions=40, validation_sessions=20, warmup_blocks=1, min_fit_sessions=50)


@pytest.fixture(scope="module")
def prices():
    return ragged_market()


def folds_of(prices, horizon, entry, config=WALK):
    return WalkForwardValidator(config).folds(len(prices.sessions), label_span(horizon, entry))


def with_sequences(walk, config):
    """The blocks of a walk with the additional sessions that sequences may need."""
    return WalkForwardValidator(config).folds(walk.n_sessions + 120, walk.horizon)


# ------------------------------------------------------------------ by the calendar
@given(walks())
def test_the_last_label_of_a_window_ends_before_the_next_window_begins(walk):
    for fold in walk.folds:
        for (_, earlier), (_, later) in pairwise(fold.windows()):
            assert earlier.stop - 1 + walk.horizon < later.start


@given(walks())
def test_an_embargo_comes_on_top_of_the_purge_on_both_sides(walk):
    for fold in walk.folds:
        for (_, earlier), (_, later) in pairwise(fold.windows()):
            assert later.start - earlier.stop == walk.horizon + walk.config.embargo_sessions


@given(walks())
def test_a_purge_costs_no_more_than_it_must(walk):
    """Each fold has one purge on each side; the fit window of an anchored walk ends directly before the first."""
    purge = walk.horizon + walk.config.embargo_sessions
    for fold in walk.reported:
        assert fold.fit.stop == fold.test.start - 2 * purge - walk.config.validation_sessions


@given(walks(), st.data())
def test_the_audit_finds_a_purge_that_lacks_a_single_session(walk, data):
    folds = list(walk.folds)
    assert audit_folds(folds, label_span=walk.horizon) == ()
    at = data.draw(st.integers(0, len(folds) - 1))
    longer = Window(folds[at].fit.start, folds[at].fit.stop + walk.config.embargo_sessions + 1)
    folds[at] = replace(folds[at], fit=longer)
    found = audit_folds(folds, label_span=walk.horizon)
    assert [line.partition(":")[0] for line in found] == [folds[at].name]


@given(walks(), st.data())
def test_the_audit_finds_tests_that_share_a_single_session(walk, data):
    folds = list(walk.folds)
    at = data.draw(st.integers(0, len(folds) - 2))
    folds[at] = replace(folds[at], test=Window(folds[at].test.start, folds[at].test.stop + 1))
    assert audit_folds(folds, label_span=walk.horizon) == (
        f"tests of {folds[at].name} and {folds[at + 1].name} overlap",
    )


@given(walks(), st.integers(2, 60), st.sampled_from(DEEP_MODELS))
def test_no_sequence_of_a_window_begins_where_a_label_of_the_window_before_ends(walk, steps, name):
    config = ModelsConfig(**walk.config.model_dump(), models=("logistic", name), sequence_sessions=steps)
    for fold in with_sequences(walk, config):
        for (_, earlier), (_, later) in pairwise(fold.windows()):
            assert earlier.stop - 1 + walk.horizon < later.start - (steps - 1)


@given(walks(), st.integers(2, 60))
def test_the_audit_asks_for_the_lookback_of_sequences_too(walk, steps):
    config = ModelsConfig(**walk.config.model_dump(), models=("xlstm_ts",), sequence_sessions=steps)
    folds = with_sequences(walk, config)
    assert config.lookback_sessions == steps - 1
    assert audit_folds(folds, label_span=walk.horizon, lookback=config.lookback_sessions) == ()
    found = audit_folds(folds, label_span=walk.horizon, lookback=config.gap_sessions + 1)
    assert len(found) == sum(len(list(fold.windows())) - 1 for fold in folds)
    assert all(f"labels reach {walk.horizon} and sequences {config.gap_sessions + 1} back" in line for line in found)


# ------------------------------------------------------------------ by what labels depend on
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_no_price_of_a_later_window_moves_a_label_of_an_earlier_one(prices, horizon, entry):
    labels = build_labels(prices, horizon, entry)
    for fold in folds_of(prices, horizon, entry):
        for (_, earlier), (_, later) in pairwise(fold.windows()):
            other = build_labels(with_future(prices, later.start - 1, "noise"), horizon, entry)
            for kind in ("forward_return", "up", "median", "sector"):
                before, after = (getattr(each, kind)[earlier.slice] for each in (labels, other))
                np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_purge_that_lacks_a_session_would_leak(prices, entry):
    """The purge is minimal: the first purged label depends on the next window."""
    labels = build_labels(prices, 5, entry).forward_return
    fold = folds_of(prices, 5, entry)[-1]
    other = build_labels(with_future(prices, fold.validation.start - 1, "noise"), 5, entry).forward_return
    assert not np.array_equal(labels[fold.fit.stop], other[fold.fit.stop], equal_nan=True)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("horizon", [1, 5])
def test_what_a_fold_has_learned_knows_no_price_of_its_validation(prices, horizon, entry):
    """With prices, features and labels: a fold's model does not depend on data from its validation on."""
    fold = folds_of(prices, horizon, entry)[-1]

    def fitted(market):
        design = build_design(build_features(market, "core").panel, "rank")
        window = FitWindow(fold.fit.start, fold.fit.stop, label_span(horizon, entry))
        trainer = WindowTrainer(LogisticRegression(), design, [window], ModelsConfig(seeds=1, threads=1))
        return trainer.fit(build_labels(market, horizon, entry).median, window).to_bytes()

    assert fitted(with_future(prices, fold.validation.start - 1, "noise")) == fitted(prices)
    assert fitted(with_future(prices, fold.fit.stop - 2, "noise")) != fitted(prices), "the poison is one"
