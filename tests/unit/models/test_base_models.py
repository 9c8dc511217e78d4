import json
from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.contract.config import DEEP_MODELS
from foundry_tasks.contract.stages import LIGHT
from foundry_tasks.features import FEATURES
from foundry_tasks.models.base.xgboost import INPUTS
from foundry_tasks.models.base_models import BASE_MODELS, load_model, score_panel
from foundry_tasks.models.design import build_design
from foundry_tasks.models.estimator import DegenerateTargetError, Stopping
from foundry_tasks.models.per_regime import PerRegimeModel
from foundry_tasks.models.seed_average import AveragedModel, fit_averaged
from foundry_tasks.models.session_auc import mean_session_auc

FIT, TEST = (0, 45), (46, 60)
every_model = pytest.mark.parametrize("name", [name for name in BASE_MODELS if name not in DEEP_MODELS])


def small(name):
    """Fast settings, with leaves small enough for a small panel."""
    estimator = BASE_MODELS[name]
    inputs_per_tree = {"lightgbm": "feature_fraction", "xgboost": "colsample_bytree"}
    if name not in inputs_per_tree:
        return estimator
    return replace(estimator, rounds=40, min_leaf_rows=40, **{inputs_per_tree[name]: 1.0})


def fitted(name, features, labels, *, seeds=(7, 8), stopping=None):
    estimator = small(name)
    design = build_design(features, estimator.transform)
    rows = design.rows(*FIT)
    prepared = estimator.prepare(design.values[rows], design.names)
    return fit_averaged(estimator, prepared, design.from_wide(labels, rows), seeds=seeds, stopping=stopping)


def test_auc_and_mean_rank_agree():
    scores = np.array([0.1, 0.4, 0.4, 0.8, 0.2, 0.3])
    target = np.array([0, 0, 1, 1, 1, 0])
    session = np.array([0, 0, 0, 0, 5, 5])
    assert mean_session_auc(scores, target, session) == pytest.approx((3.5 / 4 + 0) / 2)


def test_a_session_of_one_class_and_rows_without_target_say_nothing():
    assert np.isnan(mean_session_auc(np.arange(4.0), np.array([1, 1, 0, np.nan]), np.array([0, 0, 1, 1])))


@every_model
def test_it_ranks_unseen_sessions_better_than_chance(name, features, labels):
    scores = score_panel(fitted(name, features, labels), features)
    test = slice(*TEST)
    sessions = np.repeat(np.arange(14), scores.shape[1])
    assert mean_session_auc(scores[test].ravel(), labels[test].ravel(), sessions) > 0.65


@every_model
def test_the_input_that_matters_has_the_largest_gain(name, features, labels):
    gain = fitted(name, features, labels).gain()
    assert max(gain, key=gain.get) == "ret_1d"
    assert sum(gain.values()) == pytest.approx(1)


@every_model
def test_equal_seeds_give_equal_bytes(name, features, labels):
    assert fitted(name, features, labels).to_bytes() == fitted(name, features, labels).to_bytes()


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_another_seed_gives_another_model(name, features, labels):
    one, other = fitted(name, features, labels, seeds=(7, 8)).members
    assert one.to_bytes() != other.to_bytes()


@every_model
def test_a_saved_model_scores_the_same_bit_for_bit(name, features, labels):
    model = fitted(name, features, labels)
    again = load_model(model.to_bytes())
    assert np.array_equal(score_panel(again, features), score_panel(model, features))
    assert again.gain() == pytest.approx(model.gain())
    json.loads(model.to_bytes())


@every_model
def test_one_session_alone_scores_as_it_does_among_others(name, features, labels):
    model = fitted(name, features, labels)
    alone = replace(features, sessions=features.sessions[50:51], values=features.values[:, 50:51])
    assert score_panel(model, alone)[0] == pytest.approx(score_panel(model, features)[50], abs=1e-9)


def test_rows_without_a_target_teach_the_regression_nothing(features, labels):
    blank = labels.copy()
    blank[30:45] = np.nan
    design = build_design(features, "rank")
    estimator = small("logistic")

    def coefficients(end, target):
        rows = design.rows(0, end)
        prepared = replace(estimator.prepare(design.values[design.rows(*FIT)], design.names))
        scaled = prepared.data
        prepared = replace(prepared, data=replace(scaled, inputs=scaled.inputs[rows]))
        return estimator.fit(prepared, design.from_wide(target, rows), seeds=[0])[0].coefficients

    assert coefficients(45, blank) == pytest.approx(coefficients(30, labels), abs=1e-6)


@every_model
def test_what_has_no_target_may_be_labelled_anything(name, features, labels):
    blank, wrong = labels.copy(), labels.copy()
    blank[30:45] = np.nan
    wrong[45:] = 1 - labels[45:]
    wrong[30:45] = np.nan
    assert fitted(name, features, blank).to_bytes() == fitted(name, features, wrong).to_bytes()


@every_model
def test_a_prepared_fold_serves_several_targets_as_if_each_were_its_own(name, features, labels):
    estimator = small(name)
    design = build_design(features, estimator.transform)
    rows = design.rows(*FIT)
    target = design.from_wide(labels, rows)
    shared = estimator.prepare(design.values[rows], design.names)
    estimator.fit(shared, 1 - target, seeds=[7])
    own = estimator.prepare(design.values[rows], design.names)
    (after_another,), (alone,) = (estimator.fit(prepared, target, seeds=[7]) for prepared in (shared, own))
    assert after_another.to_bytes() == alone.to_bytes()


@every_model
def test_nothing_after_the_fit_rows_changes_the_model(name, features, labels):
    values = features.values.copy()
    values[:, FIT[1] :] = 1e6
    poisoned = replace(features, values=values)
    assert fitted(name, poisoned, labels).to_bytes() == fitted(name, features, labels).to_bytes()


@every_model
def test_one_class_is_refused(name, features, labels):
    with pytest.raises(DegenerateTargetError, match="two classes"):
        fitted(name, features, np.ones_like(labels))


@every_model
def test_missing_inputs_are_scored(name, features, labels):
    values = features.values.copy()
    values[2, :, 3] = np.nan
    holed = replace(features, values=values)
    assert np.isfinite(score_panel(fitted(name, holed, labels), holed)).all()


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_stopping_keeps_the_rounds_that_rank_the_window_best(name, features, labels):
    estimator = small(name)
    design = build_design(features, estimator.transform)
    window = design.rows(46, 60)
    against = Stopping(design.values[window], 1 - design.from_wide(labels, window), design.session[window])
    agreeing = replace(against, target=1 - against.target)
    sizes = [len(fitted(name, features, labels, stopping=stopping).to_bytes()) for stopping in (against, agreeing)]
    assert sizes[0] < sizes[1]


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ValueError, match="got 'pickle'"):
        load_model(b'{"kind": "pickle"}')


def test_no_base_model_has_a_name_that_shards_or_saved_models_use():
    assert not {LIGHT, AveragedModel.kind, PerRegimeModel.kind} & BASE_MODELS.keys()


def test_every_input_that_xgboost_asks_for_is_a_feature():
    assert {feature.name for feature in FEATURES} >= INPUTS


def test_xgboost_reads_its_own_inputs_and_no_others_where_there_are_enough():
    rng = np.random.default_rng(0)
    names = (*sorted(INPUTS), "ret_1d", "vol_20d")
    inputs = rng.normal(size=(400, len(names))).astype(np.float32)
    estimator = replace(BASE_MODELS["xgboost"], rounds=10, min_leaf_rows=4)
    target = (inputs[:, 0] + inputs[:, -1] > 0).astype(float)
    (model,) = estimator.fit(estimator.prepare(inputs, names), target, seeds=[0])
    gain = model.gain()
    assert max(gain, key=gain.get) == names[0]
    assert gain["ret_1d"] == gain["vol_20d"] == 0
    changed = inputs.copy()
    changed[:, -2:] = 9.0
    assert np.array_equal(model.score(inputs), model.score(changed))
