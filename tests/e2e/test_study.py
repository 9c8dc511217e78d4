"""A study and a run are the same pipeline: on the same prices, the same verdict to the last digit."""

import json

import numpy as np
import pytest

from foundry_tasks.contract.config import EnsembleConfig, GatePolicy, ModelsConfig
from foundry_tasks.contract.stages import stage_config
from foundry_tasks.validation.gates import evaluate_gates
from foundry_tasks.validation.size_and_power import kinds
from foundry_tasks.validation.study import Recipe, study
from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market


@pytest.fixture(scope="module")
def foundry(tmp_path_factory):
    return Foundry(tmp_path_factory.mktemp("study"))


def test_a_study_and_a_run_come_to_the_same_figures(foundry, tmp_path):
    prices = simulated_market(sessions=400, tickers=20, seed=4, signal=0.2)
    conf = TINY | write_market(tmp_path / "market", prices) | {"folds": 5, "models": ["logistic", "lightgbm"]}
    gates = foundry.train("run", conf, until="gates")["gates"]
    published = json.loads(foundry.document(gates, "gates.json"))["horizons"]["1"]
    recipe = Recipe(
        "core",
        *(stage_config(stage, conf) for stage in ("models", "ensemble")),
        GatePolicy(resamples=conf["resamples"]),
    )
    assert isinstance(recipe.models, ModelsConfig)
    assert isinstance(recipe.ensemble, EnsembleConfig)
    report = evaluate_gates(study(prices, recipe), recipe.policy, seed=7).as_dict()
    assert [gate["verdict"] for gate in report["gates"]] == [gate["verdict"] for gate in published["gates"]]
    values = [[gate["value"] or np.nan for gate in found["gates"]] for found in (report, published)]
    assert values[0] == pytest.approx(values[1], abs=1e-6, nan_ok=True)
    assert report["null"]["figures"]["auc"]["q95"] == pytest.approx(
        published["null"]["figures"]["auc"]["q95"], abs=1e-6
    )


def test_the_audit_stage_publishes_a_tally_for_every_kind_of_market(foundry):
    conf = {"simulated_markets": 1, "resamples": 200, "oracle_aucs": [0.55]}
    result = foundry.stage("audit", "audit", conf, dag="foundry_audit")
    published = json.loads(foundry.document(result, "audit.json"))["kinds"]
    assert [item["kind"] for item in published] == list(kinds(stage_config("audit", conf)))
    assert {item["kind"]: item["promoted"] for item in published}["edge 0.55"] == 1
    assert published[0]["figures"]["auc"]["q50"] == pytest.approx(published[0]["attained_auc"])
    assert all(item["leaks_found"] == 1 for item in published if item["kind"].startswith("leak"))
