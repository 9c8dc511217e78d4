"""Each gate refuses its kind of fault, and the verdict follows from all gates."""

from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.contract.config import MIN_REFITS, GatePolicy
from foundry_tasks.contract.documents import Fold, Gate, Window
from foundry_tasks.evaluation import metrics
from foundry_tasks.gates.null_distribution import RefittedNull
from foundry_tasks.gates.verdict import evaluate_gates, verdict_of
from foundry_tasks.walk.evidence import collapsed_folds
from tests.unit.gates.forecaster import FOLDS, SESSIONS, TICKERS, evidence

POLICY = GatePolicy(resamples=400)


def gate(report, name) -> Gate:
    return next(item for item in report.gates if item.name == name)


def test_an_honest_edge_passes_every_gate():
    report = evaluate_gates(evidence(), POLICY, seed=0)
    assert report.verdict == "passed", report.failed


def test_noise_is_refused():
    report = evaluate_gates(evidence(auc=0.5), POLICY, seed=0)
    assert report.verdict == "refused"
    assert "auc" in report.failed


def test_a_better_auc_does_not_excuse_a_leak():
    report = evaluate_gates(evidence(auc=0.56, leaks=("features.ret_fwd",)), POLICY, seed=0)
    assert report.failed == ("leakage",)
    assert report.verdict == "refused"


def test_a_bound_above_chance_with_a_point_below_the_threshold_is_a_challenger():
    report = evaluate_gates(evidence(auc=0.512), POLICY, seed=0)
    assert gate(report, "auc").verdict == "near miss"
    assert report.verdict == "challenger"


def test_an_edge_that_shifted_labels_have_too_is_refused():
    """Some tickers rise more often than others on all days. Ranking these shows no timing."""
    rises = np.random.default_rng(2).uniform(0.4, 0.6, (1, TICKERS))
    up = (np.random.default_rng(3).random((SESSIONS, TICKERS)) < rises).astype(float)
    static = replace(evidence(), p_up=np.broadcast_to(rises, up.shape), up=up)
    auc = gate(evaluate_gates(static, POLICY, seed=0), "auc")
    assert auc.lower > POLICY.min_auc_lower
    assert auc.value > POLICY.min_auc
    assert auc.verdict == "failed"


@pytest.mark.parametrize(("where", "verdict"), [((), "passed"), ((3,), "warned"), ((1, 2, 4), "warned")])
def test_a_base_model_that_collapsed_is_named(where, verdict):
    found = gate(
        evaluate_gates(replace(evidence(), collapsed={"xlstm_ts": where, "logistic": ()}), POLICY, seed=0), "collapse"
    )
    assert (found.verdict, found.value) == (verdict, len(where))
    assert (f"xlstm_ts collapsed in {len(where)} of {FOLDS} folds" in found.note) == bool(where)


def test_the_folds_in_which_a_base_model_says_the_same_of_all_are_found():
    folds = [Fold(number, Window(0, 10), None, Window(10 * number, 10 * number + 10)) for number in (0, 1, 2)]
    honest = np.random.default_rng(0).normal(size=(30, 20))
    flat = np.where(np.arange(30)[:, None] < 20, 0.0, honest)
    scores = lambda _, window: {"honest": honest[window.slice], "flat": flat[window.slice]}  # noqa: E731 - a stand-in
    assert collapsed_folds(folds, scores) == {"honest": (), "flat": (1,)}


def refits(top, number=MIN_REFITS, *, own=True):
    """A null with AUCs from 0.5 to `top`."""
    return RefittedNull({"auc": tuple(np.linspace(0.5, top, number))}, tuple(range(number)), "2018-02-07", own=own)


def test_the_strictest_null_counts_and_the_note_says_whose_it_is():
    lucky, calm = refits(0.6), refits(0.502)
    auc = gate(evaluate_gates(evidence(), POLICY, seed=0, refitted=[calm, lucky]), "auc")
    assert auc.value < lucky.q95("auc")
    assert auc.verdict == "failed"
    assert "of the refitted null: 0.5950 (40 refits, prices until 2018-02-07)" in auc.note
    auc = gate(evaluate_gates(evidence(), POLICY, seed=0, refitted=[calm, replace(lucky, own=False)]), "auc")
    assert auc.verdict == "failed"
    assert "of the refitted null of another recipe on the same prices: 0.5950 (40 refits, prices until" in auc.note


def test_few_refits_say_nothing_of_a_tail():
    few = refits(0.6, MIN_REFITS - 1)
    with_few = evaluate_gates(evidence(), POLICY, seed=0, refitted=[few])
    assert with_few == evaluate_gates(evidence(), POLICY, seed=0)


def test_a_refit_whose_figure_is_undefined_is_no_refit_of_it():
    holes = RefittedNull({"auc": (0.6,) * (MIN_REFITS - 1) + (np.nan,)}, tuple(range(MIN_REFITS)), "2018-02-07")
    assert holes.refits("auc") == MIN_REFITS - 1
    assert evaluate_gates(evidence(), POLICY, seed=0, refitted=[holes]) == evaluate_gates(evidence(), POLICY, seed=0)


@pytest.mark.parametrize(
    ("stored", "verdict"),
    [((), "undefined"), ((40,), "undefined"), ((59, 40), "undefined"), ((60,), "passed"), ((40, 61), "passed")],
)
def test_a_policy_that_asks_for_a_null_leaves_the_gate_undefined_without_it(stored, verdict):
    policy = POLICY.model_copy(update={"min_null_refits": 60})
    nulls = [refits(0.505, number) for number in stored]
    report = evaluate_gates(evidence(), policy, seed=0, refitted=nulls)
    auc = gate(report, "auc")
    assert auc.verdict == verdict
    assert (report.verdict == "passed") == (verdict == "passed")
    assert auc.threshold.endswith("; a null of ≥ 60 refits")
    if verdict == "undefined":
        asked = (
            f"asks for a null of 60 refits on these prices, and the largest that is stored has {max(stored, default=0)}"
        )
        assert asked in auc.note


@pytest.mark.parametrize("asked", [1, MIN_REFITS - 1])
def test_a_policy_cannot_ask_for_a_null_without_a_quantile(asked):
    with pytest.raises(ValueError, match=f"{asked} refits have no 95 % quantile. Ask for 40 or more, or for 0"):
        GatePolicy(min_null_refits=asked)
    assert GatePolicy(min_null_refits=MIN_REFITS).min_null_refits == MIN_REFITS


def test_a_report_holds_what_chance_makes_of_every_gated_figure():
    null = evaluate_gates(evidence(), POLICY, seed=0).null
    assert (null.min_shift_sessions, null.shifts, null.blocks) == (133, 135, 13)
    assert set(null.figures) == {"auc", "wfe", "brier", "rank_ic"}
    assert null.figures["auc"].q95 < 0.51


def test_a_near_miss_beside_a_failure_is_refused():
    near, bad = (
        Gate(name="auc", question="", value=0.51, threshold="", verdict=verdict) for verdict in ("near miss", "failed")
    )
    assert verdict_of([near]) == "challenger"
    assert verdict_of([near, bad]) == "refused"


def test_too_few_blocks_are_undefined_hence_refused():
    short = evidence(horizon=20)
    report = evaluate_gates(short, POLICY, seed=0)
    assert gate(report, "auc").verdict == "undefined"
    assert report.verdict == "refused"


def test_an_always_long_model_has_no_efficiency():
    constant = evidence()
    p_up = np.full(constant.p_up.shape, 0.6)
    halves = np.split(metrics.session_hit_rate(p_up, constant.above_median), FOLDS)
    always_long = replace(constant, p_up=p_up, validation_relative=halves, test_relative=halves)
    report = evaluate_gates(always_long, POLICY, seed=0)
    assert gate(report, "wfe").verdict == "undefined"
    assert gate(report, "spread").verdict == "failed"


def test_a_collapse_is_a_spread_that_vanishes_not_one_that_is_honestly_small():
    honest = evidence(auc=0.522)
    assert gate(evaluate_gates(honest, POLICY, seed=0), "spread").verdict == "passed"
    collapsed = replace(honest, p_up=np.where(honest.p_up > 0.9, 0.6, 0.53))
    assert gate(evaluate_gates(collapsed, POLICY, seed=0), "spread").verdict == "failed"


def test_a_forecast_that_is_off_by_ten_points_fails_calibration_and_brier():
    honest = evidence()
    report = evaluate_gates(replace(honest, p_up=np.clip(honest.p_up + 0.1, 0, 1)), POLICY, seed=0)
    calibration = gate(report, "calibration")
    assert calibration.verdict == "failed"
    assert calibration.note.startswith("the mean of P(up) is off by more than 0.03; slope ")
    assert gate(report, "brier").verdict == "failed"


def stretched(p_up, factor):
    """P(up) whose distance from its mean, in logits, is multiplied."""
    logits = np.log(p_up / (1 - p_up))
    mean = logits.mean(axis=1, keepdims=True)
    return 1 / (1 + np.exp(-(mean + factor * (logits - mean))))


@pytest.mark.parametrize(
    ("factor", "verdict", "note"),
    [
        (1, "passed", "holds 1"),
        (-1, "failed", "upper bound at 80% below 0.5: P(up) is overconfident or has no skill"),
        (5, "failed", "upper bound at 80% below 0.5: P(up) is overconfident or has no skill"),
        (1.5, "warned", "is below 1: P(up) is overconfident"),
        (0.5, "warned", "is above 1: P(up) is too cautious"),
        (0.01, "warned", "is above 1: P(up) is too cautious"),
        (0, "passed", "slope not applicable: P(up) has no dispersion within sessions"),
    ],
)
def test_calibration_is_judged_by_the_slope_on_logits(factor, verdict, note):
    honest = evidence(seed=3)
    found = gate(evaluate_gates(replace(honest, p_up=stretched(honest.p_up, factor)), POLICY, seed=0), "calibration")
    assert (found.verdict, note in found.note) == (verdict, True), found.note
    assert (found.value is None) == (factor == 0)


def test_random_forecasts_fail_calibration_and_an_edge_too_small_to_tell_is_warned():
    honest = evidence(seed=3)
    random = replace(honest, p_up=np.random.default_rng(5).permuted(honest.p_up, axis=1))
    assert gate(evaluate_gates(random, POLICY, seed=0), "calibration").verdict == "failed"
    small = evidence(auc=0.503, seed=3)
    found = gate(evaluate_gates(small, POLICY, seed=0), "calibration")
    assert (found.verdict, found.note.startswith("cannot be told: slope")) == ("warned", True), found.note


def test_an_edge_that_does_not_survive_the_test_fails_efficiency():
    honest = evidence()
    faded = replace(honest, test_relative=[series * 0 + 0.501 for series in honest.test_relative])
    assert gate(evaluate_gates(faded, POLICY, seed=0), "wfe").verdict == "failed"


def test_missing_predictions_fail_coverage():
    honest = evidence()
    holes = honest.p_up.copy()
    holes[:, :6] = np.nan
    report = evaluate_gates(replace(honest, p_up=holes), POLICY, seed=0)
    assert gate(report, "coverage").verdict == "failed"


def test_a_champion_that_ranks_better_keeps_its_place():
    better = evidence(auc=0.56)
    shuffled = np.random.default_rng(0).permuted(better.p_up, axis=1)
    report = evaluate_gates(replace(better, p_up=shuffled, champion_p_up=better.p_up), POLICY, seed=0)
    assert gate(report, "champion").verdict == "failed"


def test_a_model_that_equals_the_champion_is_not_inferior():
    mine = evidence()
    report = evaluate_gates(replace(mine, champion_p_up=mine.p_up), POLICY, seed=0)
    assert gate(report, "champion").value == pytest.approx(0)
    assert report.verdict == "passed"


def test_a_model_that_is_worse_than_the_champion_fails():
    better = evidence(auc=0.56)
    shuffled = np.random.default_rng(0).permuted(better.p_up, axis=1)
    again = replace(better, p_up=shuffled, champion_p_up=better.p_up)
    assert gate(evaluate_gates(again, POLICY, seed=0), "champion").verdict == "failed"


def test_the_same_evidence_gives_the_same_report():
    assert evaluate_gates(evidence(), POLICY, seed=3) == evaluate_gates(evidence(), POLICY, seed=3)


def test_a_report_is_json_without_nan():
    report = evaluate_gates(evidence(horizon=20), POLICY, seed=0)
    values = [value for gate in report.gates for value in (gate.value, gate.lower, gate.upper)]
    assert None in values
    assert all(value is None or np.isfinite(value) for value in values)
    assert "NaN" not in report.model_dump_json()
