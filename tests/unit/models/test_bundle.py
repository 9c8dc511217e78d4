"""A bundle: equal bytes for equal models, lossless round trip, and equal predictions from rows and from the panel."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.models.base.lightgbm import LightGBMClassifier
from foundry_tasks.models.base.logistic import LogisticRegression
from foundry_tasks.models.bundle import Bundle, PyfuncBundle, _load_pyfunc, needed_features, regime_of
from foundry_tasks.models.calibration import BaseRateSlope
from foundry_tasks.models.design import build_design
from foundry_tasks.models.meta_learner import REGIMES, fit_meta_learner
from foundry_tasks.models.seed_average import fit_averaged
from foundry_tasks.models.stack import Stack

REGIME = REGIMES[0]
ESTIMATORS = {"logistic": LogisticRegression(), "lightgbm": LightGBMClassifier(rounds=20, min_leaf_rows=20)}


@pytest.fixture
def features(make_features):
    """A panel with a market-wide feature for the meta-learner."""
    panel = make_features(300)
    return replace(panel, names=tuple(REGIME if name == "market_ret_5d" else name for name in panel.names))


@pytest.fixture
def labels(features):
    """Reversal under noise."""
    noise = np.random.default_rng(1).normal(size=features.values.shape[1:])
    return (noise - features["ret_1d"] > 0).astype(float)


def fit(panel, labels, *, meta=False):
    """Base models and their stack, with a meta-learner on request."""
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
    about = {"run": "r", "b": 1, "a": 2}
    names = needed_features(models, stack, panel.names)
    return Bundle("us", 5, names, 0.53, models, stack, about, "24/7", len(panel.tickers))


@pytest.fixture(params=[False, True], ids=["average", "meta-learner"])
def bundle(features, labels, request):
    return fit(features, labels, meta=request.param)


def only(panel, names):
    """The same panel with only these features, in this order."""
    places = [panel.names.index(name) for name in names]
    return FeaturePanel(panel.sessions, panel.tickers, tuple(names), panel.values[places])


def rows(panel):
    """Columns date, ticker, features; one row per ticker and session."""
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
    assert (read.calendar, read.n_tickers) == ("24/7", 40)
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


def test_what_comes_back_is_under_the_callers_own_index(bundle, features):
    frame = rows(features).sample(frac=1, random_state=1)
    frame["p_up"] = PyfuncBundle(bundle).predict(frame)["p_up"]
    np.testing.assert_array_equal(frame.sort_index()["p_up"], bundle.p_up(features).ravel())


DAY_MS = 86_400_000
ENCODINGS = (
    lambda day: day.strftime("%Y-%m-%d"),
    lambda day: day.strftime("%Y%m%d"),
    lambda day: day,
    lambda day: day.to_pydatetime().date(),
    lambda day: day.toordinal() % 719_163 * DAY_MS,
    lambda day: day.toordinal() % 719_163 * DAY_MS // 1000,
    lambda day: float(day.toordinal() % 719_163 * DAY_MS),
    lambda day: day.isoformat() + "Z",
)


@pytest.fixture(scope="module", params=[False, True], ids=["average", "meta-learner"])
def served(request):
    """A model, rows of six sessions with tickers that join and leave, and their P(up)."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(5, 300, 40)).astype(np.float32)
    values[4] = values[4][:, :1]
    names = ("ret_1d", "ret_5d", "vol_20d", "zscore_20d", REGIME)
    sessions = np.busday_offset("2020-01-01", np.arange(300))
    panel = FeaturePanel(sessions, tuple(f"T{place:02}" for place in range(40)), names, values)
    labels = (rng.normal(size=(300, 40)) - panel["ret_1d"] > 0).astype(float)
    model = PyfuncBundle(fit(panel, labels, meta=request.param))
    frame = rows(FeaturePanel(sessions[-6:], panel.tickers, names, values[:, -6:]))
    frame = frame.sample(n=90, random_state=2).sort_index().reset_index(drop=True)
    frame = frame[(frame["date"] != frame["date"].iloc[0]) | (frame.index < 4)]  # four tickers in its first session
    return model, frame, model.predict(frame)["p_up"]


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), part_of=st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_neither_order_nor_other_sessions_nor_how_a_date_is_written_change_a_rows_p_up(served, seed, part_of):
    model, frame, expected = served
    rng = np.random.default_rng(seed)
    part_of = dict(zip(frame["date"].unique(), part_of, strict=True))
    sent = frame.iloc[rng.permutation(len(frame))]
    encodings = [ENCODINGS[place] for place in rng.integers(len(ENCODINGS), size=len(frame))]
    part = sent["date"].map(part_of)
    sent = sent.assign(
        date=pd.Series([write(day) for write, day in zip(encodings, sent["date"], strict=True)], sent.index)
    )
    for number in set(part):
        request = sent[part == number]
        predicted = model.predict(request)
        assert predicted.index.equals(request.index)
        assert predicted["ticker"].tolist() == request["ticker"].tolist()
        assert predicted["date"].tolist() == frame["date"][request.index].tolist()
        np.testing.assert_allclose(predicted["p_up"], expected[request.index], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            lambda frame: frame.assign(ticker=frame["ticker"].where(frame.index != 1)),
            "row 2 of 90 .*: ticker is missing",
        ),
        (lambda frame: frame.assign(date=frame["date"].where(frame.index != 1)), "row 2 of 90 .*: date is missing"),
        (lambda frame: pd.concat([frame, frame.iloc[[3]]]), "rows 4, 91 of 91 .* more than once"),
        (lambda frame: frame.assign(date=frame["date"] + pd.Timedelta("1h")), "rows 1, 2, .* time of day"),
        (lambda frame: frame.drop(columns="vol_20d"), "column vol_20d is missing. Send each of date, ticker, ret_1d"),
        (lambda frame: pd.concat([frame, frame[["date"]]], axis=1), "column date is there more than once"),
    ],
)
def test_keys_that_do_not_tell_the_rows_apart_are_refused(bundle, features, change, fault):
    with pytest.raises(DataRejectedError, match=fault):
        PyfuncBundle(bundle).predict(change(rows(features).iloc[:90]))


def test_no_rows_give_no_rows(bundle, features):
    predicted = PyfuncBundle(bundle).predict(rows(features).iloc[:0])
    assert (list(predicted.columns), len(predicted)) == (["date", "ticker", "horizon", "p_up"], 0)


def test_a_bundle_of_an_earlier_version_is_served_on_weekdays(bundle, features, tmp_path):
    with zipfile.ZipFile(io.BytesIO(bundle.to_bytes())) as archive:
        documents = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(documents["manifest.json"])
    del manifest["calendar"], manifest["n_tickers"]
    documents["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        for name, document in documents.items():
            archive.writestr(name, document)
    model, frame = _load_pyfunc(str(tmp_path / "bundle.zip")), rows(features)
    np.testing.assert_array_equal(model.predict(frame)["p_up"], bundle.p_up(features).ravel())
    with pytest.raises(DataRejectedError, match="2020-01-04 is no weekday"):
        model.predict(frame.assign(date="2020-01-04"))


def test_a_few_tickers_are_ranked_alone_as_beside_a_whole_session(bundle, features):
    frame = rows(features)
    few = frame[(frame["date"] == frame["date"].iloc[-1]) & (frame.index % 40 < 5)]
    beside = pd.concat([frame[frame["date"] == frame["date"].iloc[0]], few])
    alone, beside = (PyfuncBundle(bundle).predict(sent)["p_up"].iloc[-5:] for sent in (few, beside))
    np.testing.assert_allclose(alone, beside, rtol=0, atol=1e-12)
    assert np.isfinite(alone).all()


def test_a_model_of_a_few_tickers_refuses_as_many_as_would_be_ranked(make_features):
    panel = make_features(300, 5)
    labels = (panel["ret_1d"] > 0).astype(float)
    few = fit(panel, labels)
    np.testing.assert_array_equal(PyfuncBundle(few).predict(rows(panel))["p_up"], few.p_up(panel).ravel())
    with pytest.raises(
        DataRejectedError, match="12 tickers for a model that was fitted on 5 and takes at most 9 at once"
    ):
        PyfuncBundle(few).predict(rows(make_features(2, 12)))


def test_a_row_with_too_few_features_has_no_probability(bundle, features):
    frame = rows(features)
    frame.loc[0, ["ret_1d", "ret_5d", "vol_20d"]] = np.nan
    p_up = PyfuncBundle(bundle).predict(frame)["p_up"]
    assert np.isnan(p_up[0])
    assert np.isfinite(p_up[1:]).all()
