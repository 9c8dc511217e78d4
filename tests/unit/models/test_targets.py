"""Targets of a base model: one label, or one per head of a network. Poison and shifts apply to all of them."""

import numpy as np
import pytest

from foundry_tasks.contract.config import DEEP_MODELS, ModelsConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.features.labels import build_labels
from foundry_tasks.models.base_models import BASE_MODELS, target_of
from foundry_tasks.models.design import build_design
from foundry_tasks.models.training import FitWindow, WindowTrainer
from foundry_tasks.walk.study import shifted_labels
from tests.leakage.markets import simulated_market

PRICES = simulated_market(sessions=80, tickers=12)
LABELS = build_labels(PRICES, 5)
ALL = ("volatility", "sign", "size")


def learned(name, labels=LABELS, **keys):
    return target_of(name, 5, ModelsConfig(models=(name,), **keys), lambda _, kind: vars(labels)[kind])


@pytest.mark.parametrize("name", BASE_MODELS)
def test_by_default_a_model_learns_one_label_its_own_or_the_configs(name):
    assert learned(name) is vars(LABELS)[BASE_MODELS[name].label_kind]
    assert learned(name, label_kind="up") is LABELS.up


def test_a_network_with_heads_learns_the_sign_first_then_what_is_asked_for_in_an_order_of_its_own():
    panels = (LABELS.median, LABELS.size, LABELS.volatility)
    np.testing.assert_array_equal(learned("lstm_transformer", deep_tasks=ALL), np.stack(panels, axis=-1))
    np.testing.assert_array_equal(learned("lstm_transformer", deep_tasks=("size", "sign"))[..., 1], LABELS.size)


@pytest.mark.parametrize("name", sorted(set(BASE_MODELS) - {"lstm_transformer"}))
def test_a_model_without_such_heads_learns_the_sign_alone(name):
    assert learned(name, deep_tasks=ALL).ndim == 2


@pytest.mark.parametrize("name", DEEP_MODELS)
def test_two_tickers_have_no_median_and_learn_up_or_down(name):
    labels = build_labels(simulated_market(sessions=30, tickers=2), 5)
    assert learned(name, labels) is labels.up


def test_two_tickers_have_no_sizes_to_compare_and_are_refused_with_what_to_do():
    labels = build_labels(simulated_market(sessions=30, tickers=2), 5)
    with pytest.raises(ConfigError, match=r"at least 3, and there are 2\. Set deep_tasks=sign\."):
        learned("lstm_transformer", labels, deep_tasks=ALL)


def test_a_shift_moves_every_task_by_the_same_sessions():
    target = learned("lstm_transformer", deep_tasks=ALL)
    shifted = learned("lstm_transformer", shifted_labels(LABELS, 7), deep_tasks=ALL)
    np.testing.assert_array_equal(shifted, np.roll(target, 7, axis=0))


def test_outside_the_window_no_task_has_a_target_and_the_sign_alone_says_when_to_stop(make_features):
    panel = make_features(n_sessions=300, n_tickers=12)
    design = build_design(panel, "raw")
    labels = np.random.default_rng(0).normal(size=(300, 12, 3))
    window = FitWindow(10, 290, purge=5)
    trainer = WindowTrainer(BASE_MODELS["logistic"], design, [window, FitWindow(0, 300, 1)], ModelsConfig())
    rows = design.rows(0, 300)
    target = trainer._target(labels, rows, window)
    inside = (design.session >= 10) & (design.session < 290)
    np.testing.assert_array_equal(target[inside], design.from_wide(labels)[inside])
    assert np.isnan(target[~inside]).all()
    _, stopping = trainer._hold_out(labels, window)
    np.testing.assert_array_equal(stopping.target, design.from_wide(labels[..., 0], design.rows(290 - 126, 290)))
