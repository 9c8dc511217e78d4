"""A bundle: equal bytes for equal models, nothing lost on the way, and rows give what the panel gives."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.models.averaged import fit_averaged
from foundry_tasks.models.bundle import Bundle, PyfuncBundle, _load_pyfunc, needed_features, regime_of
from foundry_tasks.models.calibration import BaseRateSlope
from foundry_tasks.models.design import build_design
from foundry_tasks.models.lightgbm_classifier import LightGBMClassifier
from foundry_tasks.models.logistic_regression import LogisticRegression
from foundry_tasks.models.stack import Stack
from foundry_tasks.models.stacking import REGIMES, fit_meta_learner

REGIME = REGIMES[0]
ESTIMATORS = {"logistic": LogisticRegression(), "lightgbm": LightGBMClassifier(rounds=20, min_leaf_rows=20)}


@pytest.fixture
def features(make_features):
    """A panel whose market-wide feature is one that the meta-learner sees."""
    panel = make_features(300)
    return replace(panel, names=tuple(REGIME if name == "market_ret_5d" else name for name in panel.names))


@pytest.fixture
def labels(features):
    """Reversal under noise."""
    noise = np.random.default_rng(1).normal(size=features.values.shape[1:])
    return (noise - features["ret_1d"] > 0).astype(float)


def fit(panel, labels, *, meta=False):
    """Base models and their stack, with a meta-learner where one is asked for."""
    models = {}
    for name, estimator in ESTIMATORS.items():
        design = build_design(panel, estimator.transform)
        prepared = estimator.prepare(design.values, design.names)
        models[name] = fit_averaged(estimator, prepared, design.from_wide(labels), seeds=(7, 8))
    learner = None
    if meta:
        rng = np.random.default_rng(3)
        base = {name: rng.normal(size=labels.shape) + labels for name in models}
        learner = fit_meta_learner(base, {REGIME: regime_of(panel)[REGIME]}, labels, seeds=(7,), threads=1)
    stack = Stack(tuple(models), learner, BaseRateSlope(0.3), "by hand")
    return Bundle(
        "us", 5, needed_features(models, stack, panel.names), 0.53, models, stack, {"run": "r", "b": 1, "a": 2}
    )


@pytest.fixture(params=[False, True], ids=["average", "meta-learner"])
def bundle(features, labels, request):
    return fit(features, labels, meta=request.param)


def only(panel, names):
    """The same panel with these features alone, in this order."""
    places = [panel.names.index(name) for name in names]
    return FeaturePanel(panel.sessions, panel.tickers, tuple(names), panel.values[places])


def rows(panel):
    """date, ticker, features: one row a ticker-session."""
    at_session, at_ticker = (index.ravel() for index in np.indices(panel.values.shape[1:]))
    frame = {"date": panel.sessions[at_session].astype("datetime64[s]"), "ticker": np.array(panel.tickers)[at_ticker]}
    return pd.DataFrame(frame | {name: values.ravel().astype(float) for name, values in panel.items()})


# ------------------------------------------------------------------ bytes
def test_equal_models_are_equal_bytes(bundle, features, labels):
    assert bundle.to_bytes() == bundle.to_bytes()
    again = fit(features, labels, meta=bundle.stack.meta is not None)
    assert again.to_bytes() == bundle.to_bytes()


def test_a_bundle_survives_its_file(bundle, features, tmp_path):
    (tmp_path / "bundle.zip").write_bytes(bundle.to_bytes())
    read = Bundle.from_file(tmp_path / "bundle.zip")
    assert read.to_bytes() == bundle.to_bytes()
    assert (read.market, read.horizon, read.features, read.base_rate) == ("us", 5, bundle.features, 0.53)
    assert (read.stack.why, read.about) == ("by hand", {"run": "r", "b": 1, "a": 2})
    np.testing.assert_array_equal(read.p_up(features), bundle.p_up(features))
    np.testing.assert_array_equal(read.scores(features), bundle.scores(features))


def test_a_bundle_is_json_in_a_zip_without_time_or_user(bundle):
    with zipfile.ZipFile(io.BytesIO(bundle.to_bytes())) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        documents = {name: archive.read(name) for name in archive.namelist()}
    assert set(documents) == {"manifest.json", "stack.json", "models/logistic.json", "models/lightgbm.json"}
    assert all(document.startswith(b"{") for document in documents.values())


def test_a_model_of_a_kind_that_nobody_knows_is_not_loaded(bundle, tmp_path):
    with zipfile.ZipFile(io.BytesIO(bundle.to_bytes())) as archive:
        documents = {name: archive.read(name) for name in archive.namelist()}
    documents["models/logistic.json"] = b'{"kind": "pickle", "data": "gASV"}'
    with zipfile.ZipFile(tmp_path / "forged.zip", "w") as archive:
        for name, document in documents.items():
            archive.writestr(name, document)
    with pytest.raises(ValueError, match=r"a saved model is one of logistic, .* got 'pickle'"):
        Bundle.from_file(tmp_path / "forged.zip")


# ------------------------------------------------------------------ features
def test_a_bundle_eats_what_its_models_and_its_meta_learner_eat(features, labels):
    plain, stacked = fit(features, labels), fit(features, labels, meta=True)
    assert plain.features == ("ret_1d", "ret_5d", "vol_20d", "zscore_20d")
    assert stacked.features == ("ret_1d", "ret_5d", "vol_20d", "zscore_20d", REGIME)


def test_a_bundle_predicts_from_its_features_alone(bundle, features):
    np.testing.assert_array_equal(bundle.p_up(only(features, bundle.features)), bundle.p_up(features))


def test_a_panel_without_one_of_them_is_refused_by_its_name(bundle, features):
    lacking = [name for name in bundle.features if name != "vol_20d"]
    with pytest.raises(ValueError, match="not in tuple"):
        bundle.p_up(only(features, lacking))


def test_the_regime_of_a_session_is_its_first_known_value(features):
    features.values[features.names.index(REGIME), 3, :2] = np.nan
    features.values[features.names.index(REGIME), 4] = np.nan
    regime = regime_of(features)
    assert set(regime) == {REGIME}
    assert regime[REGIME][3] == features[REGIME][3, 2]
    assert np.isnan(regime[REGIME][4])


# ------------------------------------------------------------------ rows
def test_rows_give_what_the_panel_gives(bundle, features, tmp_path):
    (tmp_path / "bundle.zip").write_bytes(bundle.to_bytes())
    predicted = _load_pyfunc(str(tmp_path / "bundle.zip")).predict(rows(only(features, bundle.features)))
    assert list(predicted.columns) == ["date", "ticker", "horizon", "p_up"]
    assert set(predicted["horizon"]) == {5}
    np.testing.assert_array_equal(predicted["p_up"], bundle.p_up(features).ravel())
    assert predicted["p_up"].nunique() > 100


def test_the_order_of_rows_and_further_columns_do_not_matter(bundle, features):
    frame = rows(features)
    shuffled = frame.sample(frac=1, random_state=1).assign(note="x")
    expected = PyfuncBundle(bundle).predict(frame).iloc[shuffled.index]
    predicted = PyfuncBundle(bundle).predict(shuffled)
    np.testing.assert_array_equal(predicted["p_up"], expected["p_up"])
    np.testing.assert_array_equal(predicted["ticker"], shuffled["ticker"])


def test_sessions_are_scored_each_by_itself(bundle, features):
    frame = rows(features)
    one = frame[frame["date"] == frame["date"].iloc[-1]]
    predicted = PyfuncBundle(bundle).predict(one)
    whole = bundle.p_up(features)[-1]
    np.testing.assert_allclose(predicted["p_up"], whole, rtol=0, atol=1e-12)


def test_a_row_with_too_few_features_has_no_probability(bundle, features):
    frame = rows(features)
    frame.loc[0, ["ret_1d", "ret_5d", "vol_20d"]] = np.nan
    p_up = PyfuncBundle(bundle).predict(frame)["p_up"]
    assert np.isnan(p_up[0])
    assert np.isfinite(p_up[1:]).all()
