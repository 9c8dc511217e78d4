"""gates.json, refit.json and promotion.json of version 0.2, and their form in the registry, can be read."""

import json
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import canonical_json, result_key
from foundry_tasks.contract.documents import Diagnostics, Gates, Promotions, Refits
from foundry_tasks.contract.documents.gates import TrialFigures
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.results import StageResult
from foundry_tasks.contract.stage_io import Code, Environment, StageIO
from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.data.tables import write_features
from foundry_tasks.ledger.candidate import candidate_of, registration
from foundry_tasks.ledger.promotion import LookAt, Ruling, ruling
from foundry_tasks.ledger.records import Digests
from foundry_tasks.stages.gates import fades
from tests.unit.gates.forecaster import evidence

AROUND = {"value": 0.52, "lower": 0.51, "upper": 0.53}
WFE = AROUND | {"fieller": {"kind": "every", "lower": None, "upper": None}, "consistency": 1.0}
DIAGNOSTICS = {
    "auc_median": AROUND, "rank_ic": AROUND, "information": {"mean": 0.02, "icir": 0.2, "t": 2.1, "lag": 9},
    "hit_rate_up": AROUND, "brier": AROUND, "brier_base_rate": AROUND, "brier_skill": 0.001, "log_loss": AROUND,
    "base_rate": 0.53, "overfitting_ratio": None, "sessions": 400,
    "entries": {entry: {"auc_up": AROUND, "rank_ic": AROUND} for entry in ("close", "next_close", "next_open")},
    "folds": [{"auc_up": 0.52, "auc_median": None, "rank_ic": 0.02}],
    "efficiency": {"over_base_rate": WFE, "rank_ic": WFE, "relative": WFE},
    "expected": [{"name": "spread of P(up)", "expected": 0.01, "observed": None, "formula": "φ(μ/σ)·IC", "lower": None,
                  "upper": None}],
}  # fmt: skip
NULL = {"observed": 0.52, "mean": 0.5, "q05": 0.49, "q50": 0.5, "q95": 0.51, "chance": 0.01}
GATES = {
    "validate_only": False,
    "policy": {
        "min_auc": 0.52, "min_auc_lower": 0.5, "min_wfe": 0.4, "warn_wfe": 0.5, "max_ece": 0.05, "min_spread_ratio": 0.25,
        "max_sign_gap": 0.25, "min_coverage": 0.95, "min_champion_difference": -0.002, "promotion_window_sessions": 20,
        "confidence": 0.95, "resamples": 2000, "min_blocks": 12,
    },
    "horizons": {
        "5": {
            "horizon": 5, "verdict": "refused", "failed": ["auc"], "champion_version": 2, "last_session": "2026-11-20",
            "gates": [
                {"name": "auc", "question": "Does it rank?", "value": 0.51, "threshold": "≥ 0.52", "verdict": "failed",
                 "lower": 0.49, "upper": 0.53, "note": "pooled 0.51"},
                {"name": "champion", "question": "Is it no worse?", "value": None, "threshold": "> −0.002",
                 "verdict": "passed", "lower": None, "upper": None, "note": "no champion yet"},
            ],
            "null": {"min_shift_sessions": 133, "shifts": 135, "blocks": 13, "figures": {"auc": NULL}},
            "beside": DIAGNOSTICS,
        }
    },
}  # fmt: skip
LAST_FOLD = {
    "horizon": 5, "kind": "last_fold", "models": ["logistic"], "features": ["ret_1d", "vol_20d"], "lookback_sessions": 63,
    "accepted": False, "reason": "the gates said refused",
}  # fmt: skip
PROMOTION = {
    "model": "foundry-us-5d", "version": 3, "event": "refused", "why": "gates refused: auc", "champion_before": 2,
    "champion_after": 2, "sha256": "a" * 64, "record": 6, "uri": "models:/foundry-us-5d/3", "url": "models:/foundry-us-5d/3",
}  # fmt: skip


def content(document) -> dict:
    """Without keys that earlier versions did not write."""
    return json.loads(canonical_json(document.model_dump(mode="json", exclude_unset=True)))


def test_gates_of_version_0_2_are_read_and_written_alike():
    gates = Gates.model_validate_json(json.dumps(GATES))
    assert gates.horizons[5].failed == ("auc",)
    assert gates.horizons[5].last_session == date(2026, 11, 20)
    policy = {key: value for key, value in GATES["policy"].items() if key != "max_ece"}
    assert content(gates) == GATES | {"policy": policy}


def test_entries_stand_in_the_order_of_their_time():
    diagnostics = Gates.model_validate_json(json.dumps(GATES)).horizons[5].diagnostics
    assert list(diagnostics.entries) == ["close", "next_open", "next_close"]


@pytest.mark.parametrize("key", ["an_older_key", "a_newer_key"])
def test_a_policy_of_another_version_is_read_without_the_keys_that_this_one_lacks(key):
    document = GATES | {"policy": GATES["policy"] | {key: 0.1}}
    assert Gates.model_validate_json(json.dumps(document)) == Gates.model_validate_json(json.dumps(GATES))


def test_a_figure_that_is_not_a_number_is_null():
    trials = {
        "sharpe": float("nan"), "aligned": 1, "unaligned": 0, "shared_sessions": 10, "overfitting": float("inf"),
        "undefined": "1 different trials, 10 are needed", "deflated": np.float64("nan"),
        **{key: {"n_trials": 1, "variance": 0.0, "expected_maximum": 0.0, "deflated": 0.5} for key in ("raw", "clustered")},
    }  # fmt: skip
    found = TrialFigures.model_validate(trials)
    assert (found.sharpe, found.overfitting, found.deflated) == (None, None, None)


def test_refits_and_promotions_of_version_0_2_are_read():
    refit = Refits.model_validate_json(json.dumps({"horizons": {"5": LAST_FOLD}})).horizons[5]
    assert (refit.kind, refit.accepted, refit.features, refit.rank_correlation) == (
        "last_fold", False, ("ret_1d", "vol_20d"), None,
    )  # fmt: skip
    promotions = Promotions.model_validate_json(json.dumps({"horizons": {"5": PROMOTION}}))
    assert content(promotions) == {"horizons": {"5": PROMOTION}}


@pytest.mark.parametrize(
    ("entry", "lower", "said"),
    [("next_open", 0.49, True), ("next_open", None, True), ("next_open", 0.51, False), ("next_close", 0.49, False)],
)
def test_a_ranking_that_fades_by_the_next_close_is_said_unless_a_gate_says_it(entry, lower, said):
    late = {"auc_up": AROUND | {"lower": lower}, "rank_ic": AROUND}
    diagnostics = Diagnostics.model_validate(DIAGNOSTICS | {"entries": {"next_close": late}})
    mine = evidence()
    portfolio = replace(mine.trading.portfolio, entry=entry)
    assert fades(replace(mine, trading=replace(mine.trading, portfolio=portfolio)), diagnostics) is said


@pytest.fixture
def io(tmp_path):
    """StageIO of a promote after stages of version 0.2."""
    features = tmp_path / "features.parquet"
    session = np.array(["2026-11-20"], "datetime64[D]")
    write_features(features, [FeaturePanel(session, ("AAPL",), ("ret_1d", "vol_20d"), np.ones((2, 1, 1), np.float32))])
    store = LocalStore(tmp_path / "store")
    environment = Environment(store, expectations=None, registry=None, code=Code(""), now=datetime.now)
    identity = Identity("foundry_train", "first", "promote", None, date(2026, 11, 20))
    made = StageIO.of(identity, environment, tmp_path, progress=None)
    files = {
        "prices": {},
        "labels": {},
        "features": {"features.parquet": features.read_bytes()},
        "gates": {"gates.json": canonical_json(GATES)},
        "refit": {"refit.json": canonical_json({"horizons": {"5": LAST_FOLD}}), "bundle/5d.zip": b"bundle"},
    }
    for stage, contents in files.items():
        made.outputs.artifacts = {}
        for name, file in contents.items():
            made.publish_file(name, file)
        result = StageResult(
            dag="foundry_train", run_id="first", stage=stage, shard=None, as_of=date(2026, 11, 20), status="ok", inputs={},
            outputs=made.outputs.artifacts, outputs_digest="", metrics={}, warnings=[], config={}, config_digest="",
            code_version="", image_digest="", seed=None, elapsed_s={},
        )  # fmt: skip
        made.store.write(result_key("foundry_train", "first", stage, None), result.model_dump_json().encode())
    return made


def test_a_version_that_was_registered_by_version_0_2_is_found_by_the_same_evidence(io):
    candidate = candidate_of(io.inputs, "us", 5)
    evidence = registration(candidate, Digests(run="foundry_train/first"), io.inputs, version=None, taken={}).evidence
    assert json.loads(json.dumps(evidence["gates"])) == GATES["horizons"]["5"]
    assert json.loads(json.dumps(evidence["refit"])) == LAST_FOLD
    assert ruling(candidate.gates, candidate.refit, 2, LookAt()) == Ruling("refused", "gates refused: auc")
