"""The whole pipeline on simulated markets: a planted edge is promoted, noise is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.contract.artifacts import object_key
from foundry_tasks.inputs.trial_ledger import TrialLedger, distinct
from tests.e2e.foundry_here import Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(150)

SMALL = {
    "horizons": [1],
    "models": ["logistic", "lightgbm"],
    "seeds": 1,
    "folds": 4,
    "test_sessions": 60,
    "validation_sessions": 40,
    "warmup_blocks": 1,
    "audit_dates": 1,
    "resamples": 500,
    "threads": 1,
}
NOISE_SEEDS = 20
ANY_TIME = {"promotion_window_sessions": 0}
WIDE_MARGIN = {"min_champion_difference": -0.01}
"""Versions of other seeds rank alike; on 240 sessions the interval of their difference is ± 0.004."""


def market(folder, **keys):
    return SMALL | write_market(folder, simulated_market(sessions=560, tickers=40, **keys))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    foundry = Foundry(folder)
    conf = market(folder / "market", seed=11, signal=0.25)
    return foundry, conf, foundry.train("first", conf)


def test_a_planted_causal_signal_is_promoted_to_champion(planted):
    foundry, _, results = planted
    gates = json.loads(foundry.document(results["gates"], "gates.json"))["horizons"]["1"]
    assert gates["verdict"] == "passed", gates["failed"]
    assert foundry.registry.alias("foundry-us-1d", "champion").version == 1
    predictions = json.loads(foundry.document(results["predict"], "predictions.json"))
    assert predictions["per_horizon"]["1"]["kind"] == "champion"


def test_a_rerun_reuses_every_pure_stage_and_gives_the_same_digests(planted):
    foundry, conf, first = planted
    again = foundry.train("second", conf, until="gates")
    for name in ("prices", "features", "labels", "models", "ensemble", "leakage"):
        assert again[name].reused_from == "first"
        assert again[name].outputs_digest == first[name].outputs_digest


def test_the_same_work_done_twice_gives_the_same_bytes(planted, tmp_path):
    _, conf, first = planted
    elsewhere = Foundry(tmp_path).train("elsewhere", conf, until="ensemble")
    for name, result in elsewhere.items():
        assert result.reused_from is None
        assert result.outputs_digest == first[name].outputs_digest, name


def test_validate_only_stops_once_the_gates_have_spoken(planted):
    foundry, conf, _ = planted
    results = foundry.train("validated", conf | {"validate_only": True})
    assert set(results) == {"prices", "features", "labels", "models", "ensemble", "leakage", "gates", "report"}


def test_every_trial_of_a_run_is_in_the_ledger_once_however_often_it_is_run(planted):
    foundry, conf, _ = planted
    foundry.train("counted", conf, until="gates")
    trials = TrialLedger(foundry.store).read("us")
    assert sorted(trial.what["scores"] for trial in trials) == ["blend_40_60", "lightgbm", "logistic", "p_up", "stack"]
    assert {trial.run for trial in trials} == {"foundry_train/first"}


def newcomer(planted, folder):
    """A foundry that has `planted`'s computations to reuse, and none of its runs, trials and versions."""
    for name in ("objects", "reuse"):
        shutil.copytree(planted[0].folder / "store" / name, folder / "store" / name)
    return Foundry(folder)


@pytest.fixture(scope="module")
def counted(planted, tmp_path_factory):
    """A separate store with one run, for tests that add trials."""
    _, conf, _ = planted
    foundry = newcomer(planted, tmp_path_factory.mktemp("counted"))
    foundry.train("asked", conf, until="gates")
    return foundry, conf


def test_changed_gates_are_one_trial_more_and_the_figures_say_so(counted):
    foundry, conf = counted
    before = len(distinct(TrialLedger(foundry.store).read("us")))
    results = foundry.train("asked_less", conf | {"min_auc": 0.51}, until="gates")
    assert results["gates"].metrics["1d"]["trials"]["raw"]["n_trials"] == before + 1


def test_the_same_run_judged_again_has_the_same_gates_whatever_was_tried_since(counted):
    foundry, conf = counted
    before = foundry.train("judged", conf, until="gates")["gates"]
    foundry.train("asked_more", conf | {"min_auc": 0.53}, until="gates")
    after = foundry.train("judged_again", conf, until="gates")["gates"]
    assert after.outputs_digest == before.outputs_digest
    assert after.metrics["1d"]["trials"]["raw"]["n_trials"] == before.metrics["1d"]["trials"]["raw"]["n_trials"] + 1


def test_a_model_that_passes_after_many_wild_trials_is_marked_and_still_passes(counted):
    foundry, conf = counted
    ledger = TrialLedger(foundry.store)
    likeness = ledger.read("us")[0]
    for number, mean in enumerate((-0.05, -0.02, 0.02, 0.05)):
        pnl = np.random.default_rng(number).normal(mean, 0.01, len(likeness.daily.pnl))
        ledger.record("us", replace(likeness, what={"wild": number}, daily=replace(likeness.daily, pnl=pnl)))
    gates = foundry.train("tried_often", conf, until="gates")["gates"]
    assert gates.metrics["1d"]["verdict"] == "passed"
    assert any("trials may show without skill" in warning for warning in gates.warnings), gates.warnings


def test_of_two_versions_held_against_a_champion_within_a_window_the_second_waits_for_a_person(planted, tmp_path):
    _, conf, _ = planted
    foundry, conf = newcomer(planted, tmp_path), conf | WIDE_MARGIN
    runs = (("champion", {}), ("successor", {"seed": 8}), ("another", {"seed": 9}), ("patient", {"seed": 9} | ANY_TIME))
    results = [foundry.train(run, conf | keys) for run, keys in runs]
    events = [result["promote"].metrics["1d"]["event"] for result in results]
    assert events == ["promoted", "promoted", "challenger", "promoted"]
    for result in results:  # as `foundry gc` does later
        foundry.store.delete(object_key(result["gates"].outputs["gates.json"].sha256))
    assert foundry.train("much later", conf | {"seed": 10})["promote"].metrics["1d"]["event"] == "promoted"


def test_skipped_gates_never_make_a_champion(planted, tmp_path):
    _, conf, _ = planted
    foundry = newcomer(planted, tmp_path)
    results = foundry.train("skipped", conf | {"skip_gates": True})
    promotion = json.loads(foundry.document(results["promote"], "promotion.json"))["horizons"]["1"]
    assert promotion["event"] == "skipped"
    assert foundry.registry.alias("foundry-us-1d", "champion") is None


def test_pure_random_walks_with_drift_are_refused(tmp_path):
    foundry = Foundry(tmp_path)
    verdicts = []
    for seed in range(NOISE_SEEDS):
        conf = market(tmp_path / f"market{seed}", seed=seed, drift=0.0005) | {"validate_only": True}
        results = foundry.train(f"noise{seed}", conf, until="gates")
        verdicts.append(results["gates"].metrics["1d"]["verdict"])
    promoted = verdicts.count("passed")
    assert promoted <= 1, verdicts
    assert set(verdicts) <= {"refused", "challenger", "passed"}
