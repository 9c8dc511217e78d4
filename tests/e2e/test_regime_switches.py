"""Per-regime training, scaling and intercept through the whole pipeline: audited, refitted, registered, predicting."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.tables import read_features
from foundry_tasks.models.bundle import Bundle
from foundry_tasks.models.market_regime import VOLATILITY
from foundry_tasks.models.per_regime import PerRegimeModel
from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = [
    pytest.mark.slow(13),
    # of MLflow
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]

SWITCHES = {"per_regime": True, "regime_scale": True, "regime_intercept": True}
CONF = TINY | SWITCHES | {"feature_set": "extended", "models": ["logistic", "lightgbm"], "test_sessions": 80}


@pytest.fixture(scope="module")
def switched(tmp_path_factory):
    """A market with a strong planted signal, so that the gates pass and a refit runs."""
    folder = tmp_path_factory.mktemp("switched")
    foundry = Foundry(folder)
    market = simulated_market(sessions=560, tickers=30, seed=11, signal=0.3)
    conf = CONF | write_market(folder / "market", market)
    return foundry, conf, foundry.train("switched", conf)


@pytest.fixture(scope="module")
def bundle(switched):
    foundry, _, results = switched
    return Bundle.from_file(foundry.store.object_path(results["refit"].outputs["bundle/1d.zip"].sha256))


def test_the_audit_is_clean_with_every_switch_on(switched):
    foundry, _, results = switched
    assert json.loads(foundry.document(results["leakage"], "leakage.json"))["leaks"] == []


def test_what_is_refitted_is_per_regime_and_carries_the_adjustment(switched, bundle):
    foundry, _, results = switched
    refit = json.loads(foundry.document(results["refit"], "refit.json"))["horizons"]["1"]
    assert refit["kind"] == "refit", refit
    assert {type(model) for model in bundle.models.values()} == {PerRegimeModel}
    assert bundle.stack.adjustment.factors != (1.0, 1.0)
    assert bundle.stack.adjustment.shifts != (0.0, 0.0)
    assert VOLATILITY in bundle.features
    assert (bundle.calendar, bundle.n_tickers) == ("XNYS", 30)


def test_the_registered_model_predicts_with_the_regime_of_the_day(switched, bundle):
    foundry, _, results = switched
    features = read_features(foundry.store.object_path(results["features"].outputs["features.parquet"].sha256))
    places = [features.names.index(name) for name in bundle.features]
    frame = pd.DataFrame(features.values[places, -1].T.astype(float), columns=list(bundle.features))
    frame.insert(0, "ticker", np.array(features.tickers))
    frame.insert(0, "date", features.sessions[-1].astype("datetime64[s]"))
    mlflow.set_tracking_uri(foundry.settings.mlflow_uri)
    model = mlflow.pyfunc.load_model("models:/foundry-us-1d@champion")
    here = model.predict(frame)["p_up"].to_numpy()
    table = pd.read_parquet(foundry.store.object_path(results["predict"].outputs["predictions.parquet"].sha256))
    np.testing.assert_allclose(table.set_index("ticker")["p_up"][list(features.tickers)], here, rtol=0, atol=1e-12)
    other_day = bundle.stack.adjustment.threshold * (
        0.5 if frame[VOLATILITY][0] > bundle.stack.adjustment.threshold else 2
    )
    assert not np.allclose(model.predict(frame.assign(**{VOLATILITY: other_day}))["p_up"], here)


def test_the_report_says_which_switches_were_on(switched):
    foundry, _, results = switched
    told = foundry.document(results["report"], "report.md").decode()
    assert "base models fitted per regime" in told
    assert "turbulent sessions' scores ×" in told
    assert "turbulent sessions' intercept" in told


def test_a_shard_gives_the_scores_of_the_whole_and_a_rerun_reuses_them(switched):
    foundry, conf, results = switched
    again = foundry.train("again", conf, until="ensemble")
    assert {again[name].reused_from for name in ("models", "ensemble")} == {"switched"}
    for stage in ("prices", "features", "labels"):
        foundry.stage(stage, "sharded", conf)
    shard = foundry.stage("models", "sharded", conf, shard="model=lightgbm,fold=fold2")
    scores = "scores/1d/lightgbm/fold2.parquet"
    assert shard.reused_from is None
    assert shard.outputs[scores].sha256 == results["models"].outputs[scores].sha256
    off = foundry.train("off", conf | dict.fromkeys(SWITCHES, False), until="models")["models"]
    assert off.outputs[scores].sha256 != results["models"].outputs[scores].sha256


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_run_whose_features_cannot_tell_the_regime_is_refused(switched, switch):
    foundry, conf, _ = switched
    core = conf | dict.fromkeys(SWITCHES, False) | {switch: True, "feature_set": "core"}
    with pytest.raises(ConfigError, match=f"{switch}=true needs the feature market_vol_20d, which this run lacks"):
        foundry.train(f"core {switch}", core, until="ensemble")


def test_a_fit_window_too_short_for_two_regimes_says_that_it_learned_from_all_sessions(switched):
    foundry, conf, _ = switched
    short = conf | {"walk": "rolling", "fit_sessions": 110, "models": ["logistic"]}
    result = foundry.train("short", short, until="models")["models"]
    assert any("fewer than 60 sessions in a regime" in warning for warning in result.warnings), result.warnings
