"""A study and a run give equal verdicts on the same prices, to the last digit."""

import json

import numpy as np
import pytest

from foundry_tasks.audit.size_and_power import kinds
from foundry_tasks.contract.config import MIN_REFITS, EnsembleConfig, GatePolicy, ModelsConfig
from foundry_tasks.contract.stages import stage_config
from foundry_tasks.gates.verdict import evaluate_gates
from foundry_tasks.ledger.adversaries import STRATEGIES
from foundry_tasks.runtime.progress import PlainProgress
from foundry_tasks.walk.study import Recipe, study
from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(15)


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
        GatePolicy(),
    )
    assert isinstance(recipe.models, ModelsConfig)
    assert isinstance(recipe.ensemble, EnsembleConfig)
    report = evaluate_gates(study(prices, recipe), recipe.policy, seed=7).model_dump(mode="json")
    assert [gate["verdict"] for gate in report["gates"]] == [gate["verdict"] for gate in published["gates"]]
    values = [[gate["value"] or np.nan for gate in found["gates"]] for found in (report, published)]
    assert values[0] == pytest.approx(values[1], abs=1e-6, nan_ok=True)
    assert report["null"]["figures"]["auc"]["q95"] == pytest.approx(
        published["null"]["figures"]["auc"]["q95"], abs=1e-6
    )


def test_the_audit_stage_publishes_a_tally_for_every_kind_of_market(foundry):
    conf = {"simulated_markets": 1, "resamples": 200, "oracle_aucs": [0.55]}
    result = foundry.stage("audit", "audit", conf, dag="foundry_audit")
    audit = json.loads(foundry.document(result, "audit.json"))
    published, adversaries = audit["kinds"], audit["adversaries"]
    assert [item["kind"] for item in published] == list(kinds(stage_config("audit", conf)))
    assert {item["kind"]: item["promoted"] for item in published}["edge 0.55"] == 1
    assert published[0]["figures"]["auc"]["q50"] == pytest.approx(published[0]["attained_auc"])
    assert all(item["leaks_found"] == 1 for item in published if item["kind"].startswith("leak"))
    assert [(item["kind"], item["simulations"]) for item in adversaries] == [(kind, 10) for kind in STRATEGIES]


@pytest.fixture(scope="module")
def audited(foundry, tmp_path_factory):
    """A market with an edge, and a recipe's null distribution on it."""
    prices = simulated_market(sessions=770, tickers=12, seed=4, signal=0.2)
    conf = TINY | write_market(tmp_path_factory.mktemp("market"), prices)
    for stage in ("prices", "features", "labels", "nulls"):
        result = foundry.stage(stage, "null", conf | {"null_refits": MIN_REFITS}, dag="foundry_audit")
    return conf, json.loads(foundry.document(result, "nulls.json"))["horizons"]["1"]


def test_a_recipe_fitted_anew_under_shifted_labels_ranks_no_better_than_chance(audited):
    _, null = audited
    aucs = np.array(null["figures"]["auc"])
    assert len(aucs) == len(set(null["shifts"])) == MIN_REFITS
    assert len(set(aucs)) > MIN_REFITS / 2  # a fold with a slope clipped at 0 has AUC 0.5
    assert abs(aucs.mean() - 0.5) < 4 * aucs.std() / np.sqrt(MIN_REFITS)


def test_the_gates_read_what_audits_have_found_and_no_later_audit_erases_it(foundry, audited):
    """The eraser audits again with one refit, then changes keys that are not learned from, then one that is."""
    conf, null = audited
    reached = np.quantile(null["figures"]["auc"], 0.95)
    result = foundry.stage("nulls", "null", conf | {"null_refits": 1}, dag="foundry_audit")
    assert result.metrics["1d"] == {"refits": MIN_REFITS, "auc_q95": pytest.approx(reached)}
    assert not result.warnings

    def note(run_id, conf):
        gates = foundry.train(run_id, conf, until="gates")["gates"]
        return json.loads(foundry.document(gates, "gates.json"))["horizons"]["1"]["gates"][0]["note"]

    said = f"{reached:.4f} (40 refits, prices until"
    same = {"threads": 2, "stopping_sessions": 130, "deep_loss": "cross_entropy", "min_fit_sessions": 90}
    assert f"of the refitted null: {said}" in note("same", conf | same)
    assert f"of the refitted null of another recipe on the same prices: {said}" in note("other", conf | {"seed": 8})


class Killed(BaseException):
    """The exception of a signal in a stage."""


class KilledAfter(PlainProgress):
    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def advance(self, what: str) -> None:
        self.steps -= 1
        if self.steps == 0:
            raise Killed(what)


def test_an_audit_that_was_killed_goes_on_where_it_was(foundry, audited):
    conf = audited[0] | {"null_refits": 5, "seed": 11}
    for stage in ("prices", "features", "labels"):
        foundry.stage(stage, "killed", conf, dag="foundry_audit")
    others = set(foundry.store.keys("checkpoints/nulls/"))
    with pytest.raises(Killed):
        foundry.stage("nulls", "killed", conf, dag="foundry_audit", progress=KilledAfter(3))
    marked = next(key for key in foundry.store.keys("checkpoints/nulls/") if key not in others)
    kept = json.loads(foundry.store.read(marked))
    foundry.store.write(marked, json.dumps(kept | {"figures": kept["figures"] | {"auc": 0.25}}).encode())
    result = foundry.stage("nulls", "killed", conf, dag="foundry_audit")
    assert 0.25 in json.loads(foundry.document(result, "nulls.json"))["horizons"]["1"]["figures"]["auc"]
    assert "95 % quantile" in result.warnings[0]
    assert result.metrics["1d"] == {"refits": 5, "auc_q95": None}
