"""A predict-only run loads recent sessions only, reports it, and has the same results as a run on all sessions."""

import json
from datetime import date

import numpy as np
import pytest

from foundry_tasks.contract.config import RECENT_SESSIONS
from foundry_tasks.contract.stages import PIPELINES, recent_sessions
from foundry_tasks.data.tables import read_features, read_prices
from tests.e2e.foundry_here import Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(10)

DAGS = ("foundry_train", "foundry_daily")


class Panels:
    """Published prices and features of both pipelines on one market."""

    def __init__(self, foundry, conf, as_of=date(2026, 11, 19)):
        self.foundry, self.prices, self.features, self.about = foundry, {}, {}, {}
        for dag in DAGS:
            results = {name: foundry.stage(name, "run", conf, dag, as_of=as_of) for name in ("prices", "features")}
            store, outputs = foundry.store, results["features"].outputs
            self.about[dag] = [json.loads(foundry.document(results[name], f"{name}.json")) for name in results]
            self.prices[dag] = read_prices(store.object_path(results["prices"].outputs["prices.parquet"].sha256))
            self.features[dag] = read_features(store.object_path(outputs["features.parquet"].sha256))

    def differing(self):
        """Names of the features whose recent sessions differ by more than 1e-6."""
        whole, recent = (self.features[dag] for dag in DAGS)
        whole = whole.last(len(recent.sessions))
        assert np.array_equal(whole.sessions, recent.sessions)
        assert whole.names == recent.names
        across = [whole.tickers.index(ticker) for ticker in recent.tickers]
        pairs = zip(whole.names, whole.values, recent.values, strict=True)
        return {name for name, a, b in pairs if not np.allclose(a[:, across], b, rtol=1e-6, atol=1e-6, equal_nan=True)}


@pytest.fixture(scope="module")
def panels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recent")
    market = write_market(folder / "market", simulated_market(sessions=800, tickers=12, seed=3))
    return Panels(Foundry(folder), market | {"horizons": [1, 5]})


def test_who_fits_no_model_needs_recent_sessions_alone():
    assert {dag for dag in PIPELINES if recent_sessions(dag)} == {"foundry_daily", "foundry_promote"}
    assert recent_sessions("a_dag_of_a_users_own") is None


def test_recent_features_are_those_of_a_run_on_all_sessions(panels):
    assert len(panels.features["foundry_daily"].sessions) == RECENT_SESSIONS
    assert not panels.differing()


def test_earlier_prices_are_not_even_read(panels):
    whole, recent = (panels.prices[dag] for dag in DAGS)
    assert (len(whole.sessions), len(recent.sessions)) == (800, 800 - 3 * 42)
    assert np.array_equal(whole.fields["close"][3 * 42 :], recent.fields["close"])


def test_both_stages_say_what_they_cover(panels):
    prices, features = panels.about["foundry_daily"]
    assert (prices["sessions"], prices["first_session"]) == (674, str(panels.prices["foundry_daily"].sessions[0]))
    assert (features["sessions"], features["first_session"]) == (
        RECENT_SESSIONS,
        str(panels.features["foundry_daily"].sessions[0]),
    )


def test_a_run_on_all_sessions_never_takes_over_what_one_of_recent_sessions_made(tmp_path):
    conf = write_market(tmp_path / "market", simulated_market(sessions=300, tickers=12)) | {"horizons": [1]}
    foundry = Foundry(tmp_path)
    runs = [{name: foundry.stage(name, "run", conf, dag) for name in ("prices", "features")} for dag in reversed(DAGS)]
    panels = [run["prices"].outputs["prices.parquet"] for run in runs]
    assert panels[0] == panels[1]  # the history is short, so all of it is needed
    assert [run["features"].reused_from for run in runs] == [None, None]
    assert runs[0]["features"].outputs_digest != runs[1]["features"].outputs_digest


def test_recent_features_of_the_scale_set_are_those_of_all_its_sessions(market_data, tmp_path):
    """Every fifth ticker; `benchmarks/daily.py` compares all of them."""
    sectors = (market_data / "sectors_sp500_2000_2024.csv").read_text().splitlines()[1::5]
    conf = {
        "source": "parquet",
        "prices": str(market_data / "sp500_2000_2024.parquet"),
        "sectors": str(market_data / "sectors_sp500_2000_2024.csv"),
        "benchmark": str(market_data / "spy_1993_2024.parquet"),
        "vix": str(market_data / "vix_1990_2024.parquet"),
        "universe": str(market_data / "sp500_membership_start_end.csv"),
        "tickers": [line.partition(",")[0] for line in sectors],
        "horizons": [1],
    }
    assert not Panels(Foundry(tmp_path), conf).differing()
