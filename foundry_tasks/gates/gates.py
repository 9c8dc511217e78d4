"""The gates: what is asked of a model. A gate decides nothing by itself, it returns evidence.

Every gate has its observed value, its interval where one can be had, the threshold and a verdict; the verdict on a model
follows from those of its gates.
"""

import math
from collections.abc import Sequence

import numpy as np

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents.gates import (
    Gate,
    GateReport,
    GateVerdict,
    ModelVerdict,
    NullQuantiles,
    NullSummary,
)
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.collapse import collapse_of
from foundry_tasks.evaluation.wfe import wfe_interval
from foundry_tasks.gates.null_distribution import NullDistribution, RefittedNull, null_distribution
from foundry_tasks.statistics.bootstrap import Interval, Resampling, mean_interval
from foundry_tasks.statistics.calibration_error import calibration_error_interval
from foundry_tasks.walk.evidence import Evidence


def evaluate_gates(
    evidence: Evidence, policy: GatePolicy, *, seed: int, refitted: RefittedNull | None = None
) -> GateReport:
    """Hold the evidence against the policy. Pure; the same arguments give the same report.

    refitted: the null of this recipe on this market from an audit, where there was one; the stricter null counts.
    """
    null = null_distribution(evidence)
    gates = (
        _auc(evidence, null, refitted, policy, seed),
        _wfe(evidence, null, policy, seed),
        _brier(evidence, policy, seed),
        _calibration(evidence, policy, seed),
        _dispersion(evidence, policy),
        _collapse(evidence),
        _sign_balance(evidence, policy),
        _coverage(evidence, policy),
        _leakage(evidence),
        _champion(evidence, policy, seed),
    )
    return GateReport(horizon=evidence.horizon, verdict=verdict_of(gates), gates=gates, null=_summary(null))


def verdict_of(gates: Sequence[Gate]) -> ModelVerdict:
    """Passed if no gate refuses; challenger if the only refusal is a near miss, which a human may approve."""
    refusing = [gate for gate in gates if gate.refuses]
    if not refusing:
        return "passed"
    return "challenger" if all(gate.verdict == "near miss" for gate in refusing) else "refused"


def interval_of(series: FloatArray, evidence: Evidence, policy: GatePolicy, seed: int) -> Interval:
    """The policy's interval of a per-session figure.

    series: (n_sessions,), NaN where a session has no figure.
    """
    return mean_interval(series, horizon=evidence.horizon, resampling=Resampling.of(policy, seed))


def _summary(null: NullDistribution) -> NullSummary:
    return NullSummary(
        min_shift_sessions=null.min_shift_sessions,
        shifts=null.shifts,
        blocks=null.blocks,
        figures={
            name: NullQuantiles(
                observed=found.observed,
                mean=found.mean,
                q05=found.q05,
                q50=found.q50,
                q95=found.q95,
                chance=found.chance,
            )
            for name, found in null.figures.items()
        },
    )


def _auc(
    evidence: Evidence, null: NullDistribution, refitted: RefittedNull | None, policy: GatePolicy, seed: int
) -> Gate:
    """Two tests of one figure, each at its own level: its interval lies above chance, and it beats the null.

    Interval and null measure the same error in two ways. Of noise with persistent scores the shifts of one history let
    11 to 14 % through by themselves, and both tests together 2 to 3 %. A lower bound above the null's quantile would count
    the error twice: of 100 markets whose oracle has an AUC of 0.53 it found 24, and this reading 61.
    """
    interval = interval_of(metrics.session_auc(evidence.p_up, evidence.up), evidence, policy, seed)
    chance = null.figures["auc"].q95
    note = (
        f"pooled {metrics.pooled_auc(evidence.p_up, evidence.up):.4f}; chance reaches {chance:.4f} at 95 %: labels "
        f"shifted by ≥ {null.min_shift_sessions} sessions, {null.shifts} shifts in {null.blocks} blocks"
    )
    if refitted is not None and math.isfinite(again := refitted.q95("auc")):
        note += (
            f"; and {again:.4f} where the recipe is fitted anew, {len(refitted.shifts)} times, until {refitted.until}"
        )
        chance = max(chance, again)
    verdict: GateVerdict
    if not (interval.defined and math.isfinite(chance)):
        verdict, note = "undefined", f"{interval.blocks} independent blocks, {policy.min_blocks} are needed; {note}"
    elif not (interval.lower > policy.min_auc_lower and interval.value > chance):
        verdict = "failed"
    elif interval.value < policy.min_auc:
        verdict = "near miss"
    else:
        verdict = "passed"
    return Gate(
        name="auc", question="Does P(up) rank the session's tickers?", value=interval.value,
        threshold=f"≥ {policy.min_auc:g} and above 95 % of what chance reaches, lower bound > {policy.min_auc_lower:g}",
        verdict=verdict, lower=interval.lower, upper=interval.upper, note=note,
    )  # fmt: skip


def _wfe(evidence: Evidence, null: NullDistribution, policy: GatePolicy, seed: int) -> Gate:
    def wfe(validation: Sequence[FloatArray], test: Sequence[FloatArray]) -> Interval:
        return wfe_interval(validation, test, horizon=evidence.horizon, resampling=Resampling.of(policy, seed))

    relative = wfe(evidence.validation_relative, evidence.test_relative)
    drift = wfe(evidence.validation_up, evidence.test_up)
    verdict: GateVerdict
    if not math.isfinite(relative.value):
        verdict = "undefined"
    elif relative.value < policy.min_wfe:
        verdict = "failed"
    else:
        certain = relative.lower >= policy.min_wfe
        verdict = "passed" if certain and relative.value >= policy.warn_wfe else "warned"
    return Gate(
        name="wfe", question="Does the edge seen in validation survive the test?", value=relative.value,
        threshold=f"≥ {policy.min_wfe:.0%}, warns below {policy.warn_wfe:.0%} or if unsure",
        verdict=verdict, lower=relative.lower, upper=relative.upper,
        note=f"relative to the median; chance reaches {_percent(null.figures['wfe'].q95)} at 95 %; on up/down "
        f"{_percent(drift.value)}, which measures drift",
    )  # fmt: skip


def _brier(evidence: Evidence, policy: GatePolicy, seed: int) -> Gate:
    difference = metrics.session_brier(evidence.p_up, evidence.up) - metrics.session_brier(
        evidence.base_rate, evidence.up
    )
    interval = interval_of(difference, evidence, policy, seed)
    verdict: GateVerdict = "undefined" if not interval.defined else "failed" if interval.lower > 0 else "passed"
    if verdict == "passed" and interval.value > 0:
        verdict = "warned"
    return Gate(
        name="brier", question="Is P(up) better than the base rate known at the time?", value=interval.value,
        threshold="interval not entirely above 0", verdict=verdict, lower=interval.lower, upper=interval.upper,
        note="Brier(P(up)) − Brier(base rate)",
    )  # fmt: skip


def _calibration(evidence: Evidence, policy: GatePolicy, seed: int) -> Gate:
    interval = calibration_error_interval(
        evidence.p_up, evidence.up, horizon=evidence.horizon, resampling=Resampling.of(policy, seed)
    )
    verdict: GateVerdict = "failed" if interval.lower > policy.max_ece else "passed"
    if not interval.defined:
        verdict = "undefined"
    elif verdict == "passed" and interval.value > policy.max_ece:
        verdict = "warned"
    return Gate(
        name="ece", question="Does P(up) mean what it says?", value=interval.value,
        threshold=f"lower bound ≤ {policy.max_ece:g}", verdict=verdict, lower=interval.lower, upper=interval.upper,
        note="equal-mass bins, rows that the calibrator never saw",
    )  # fmt: skip


def _dispersion(evidence: Evidence, policy: GatePolicy) -> Gate:
    """Collapse is a spread or a number of distinct scores that vanishes, not a spread that is honestly small.

    A calibrated P(up) with base rate b and AUC a spreads by about 2√π·b(1 − b)·(a − ½).
    """
    session, ticker = np.nonzero(np.isfinite(evidence.p_up))
    found = collapse_of(evidence.p_up[session, ticker], session)
    base = _mean(evidence.up)
    auc = _mean(metrics.session_auc(evidence.p_up, evidence.up))
    expected = 2 * math.sqrt(math.pi) * base * (1 - base) * max(auc - 0.5, 0.0)
    ratio = found.dispersion / expected if expected > 0 else math.nan
    narrow = math.isfinite(ratio) and ratio < policy.min_spread_ratio
    verdict: GateVerdict = "failed" if found.collapsed else "warned" if narrow else "passed"
    if math.isnan(found.dispersion):
        verdict = "undefined"
    return Gate(
        name="spread", question="Do predictions differ between tickers?", value=found.dispersion,
        threshold=f"not collapsed; warns below {policy.min_spread_ratio:g} × expected", verdict=verdict,
        note=f"expected {expected:.4f} from the AUC; {found.flat_sessions:.0%} of the sessions flat, "
        f"{found.distinct_share:.0%} of a session's distinct",
    )  # fmt: skip


def _collapse(evidence: Evidence) -> Gate:
    """A word and no refusal: the average outlives a model that says the same of everything, and `spread` refuses where all do.

    Trees that are told to keep thousands of rows a leaf do so in every small market.
    """
    folds = len(evidence.test_relative)
    lost = {name: len(where) for name, where in evidence.collapsed.items() if where}
    return Gate(
        name="collapse", question="Does every base model tell tickers apart?", value=float(sum(lost.values())),
        threshold="warns where one does not", verdict="warned" if lost else "passed",
        note="; ".join(f"{name} collapsed in {n} of {folds} folds" for name, n in lost.items()) or "every one in every fold",
    )  # fmt: skip


def _sign_balance(evidence: Evidence, policy: GatePolicy) -> Gate:
    """Share of P(up) above ½ against what its mean and spread explain: Φ((b − ½)/σ) for base rate b."""
    p_up = evidence.p_up[np.isfinite(evidence.p_up)]
    base = _mean(np.where(np.isfinite(evidence.p_up), evidence.base_rate, np.nan))
    observed, dispersion = float((p_up > 0.5).mean()), float(p_up.std())
    expected = 0.5 * (1 + math.erf((base - 0.5) / (dispersion * math.sqrt(2)))) if dispersion > 0 else float(base > 0.5)
    gap = observed - expected
    return Gate(
        name="sign_balance", question="Is the share of up calls what the base rate explains?", value=gap,
        threshold=f"within ± {policy.max_sign_gap:g}", verdict="failed" if abs(gap) > policy.max_sign_gap else "passed",
        note=f"observed {observed:.0%}, expected {expected:.0%}",
    )  # fmt: skip


def _coverage(evidence: Evidence, policy: GatePolicy) -> Gate:
    covered = float((np.isfinite(evidence.p_up) & evidence.member).sum() / max(evidence.member.sum(), 1))
    return Gate(
        name="coverage", question="Has every ticker of the universe a prediction?", value=covered,
        threshold=f"≥ {policy.min_coverage:.0%}", verdict="passed" if covered >= policy.min_coverage else "failed",
    )  # fmt: skip


def _leakage(evidence: Evidence) -> Gate:
    return Gate(
        name="leakage", question="Could the data of that day have produced it?", value=float(len(evidence.leaks)),
        threshold="no finding", verdict="failed" if evidence.leaks else "passed", note="; ".join(evidence.leaks) or "audit clean",
    )  # fmt: skip


def _champion(evidence: Evidence, policy: GatePolicy, seed: int) -> Gate:
    question, threshold = "Is it no worse than the champion?", f"lower bound > {policy.min_champion_difference:g}"
    if evidence.champion_p_up is None:
        return Gate(
            name="champion",
            question=question,
            value=None,
            threshold=threshold,
            verdict="passed",
            note=evidence.champion_note,
        )
    mine = np.where(np.isfinite(evidence.champion_p_up), evidence.p_up, np.nan)
    theirs = np.where(np.isfinite(mine), evidence.champion_p_up, np.nan)
    difference = metrics.session_auc(mine, evidence.up) - metrics.session_auc(theirs, evidence.up)
    interval = interval_of(difference, evidence, policy, seed)
    verdict: GateVerdict = "passed" if interval.lower > policy.min_champion_difference else "failed"
    since, window, note = evidence.sessions_since_look, policy.promotion_window_sessions, evidence.champion_note
    if verdict == "passed" and since is not None and since < window:
        verdict = "near miss"
        note += f"; another version was held against a champion {since} sessions earlier, one look in {window} promotes by itself"
    return Gate(
        name="champion", question=question, value=interval.value, threshold=threshold,
        verdict=verdict if interval.defined else "undefined", lower=interval.lower, upper=interval.upper, note=note,
    )  # fmt: skip


def _mean(values: FloatArray) -> float:
    """Of what is known; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "undefined"
