"""auc: mean per-session AUC of P(up) against up/down."""

import math

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle


def judge(case: Case) -> Answer:
    """Two tests: lower bound > min_auc_lower, and value > 95 % quantile of the null. Near miss if value < min_auc.

    The interval and the null estimate the same sampling error in two ways. On noise with persistent scores the null of
    shifted labels alone passes 11 to 14 %, both tests together 2 to 3 %. The rule lower bound > quantile would count the
    error twice: of 100 markets with an oracle AUC of 0.53 it passed 24, the two tests 61.
    """
    from foundry_tasks.evaluation import metrics

    p_up, up, policy, null = case.evidence.p_up, case.evidence.up, case.policy, case.null
    interval, q95 = case.interval(metrics.session_auc(p_up, up)), null.figures["auc"].q95
    note = (
        f"pooled {metrics.pooled_auc(p_up, up):.4f}; 95 % quantile of the null: {q95:.4f} (labels shifted by "
        f"≥ {null.min_shift_sessions} sessions, {null.shifts} shifts in {null.blocks} blocks)"
    )
    refitted = case.refitted
    if refitted is not None and math.isfinite(again := refitted.q95("auc")):
        note += f"; of the refitted null: {again:.4f} ({len(refitted.shifts)} refits, prices until {refitted.until})"
        q95 = max(q95, again)
    verdict: GateVerdict
    if not (interval.defined and math.isfinite(q95)):
        verdict, note = "undefined", f"{interval.blocks} independent blocks, {policy.min_blocks} are needed; {note}"
    elif not (interval.lower > policy.min_auc_lower and interval.value > q95):
        verdict = "failed"
    elif interval.value < policy.min_auc:
        verdict = "near miss"
    else:
        verdict = "passed"
    return Answer.about(interval, verdict, note)


def threshold(policy: GatePolicy) -> str:
    """The thresholds of value and lower bound, as text."""
    return f"≥ {policy.min_auc:g} and above the null's 95 % quantile, lower bound > {policy.min_auc_lower:g}"


GATE = GateDefinition(
    name="auc",
    order=10,
    question="Does P(up) rank the session's tickers?",
    threshold=threshold,
    judge=judge,
    style=GateStyle(
        "AUC per session",
        marks=lambda policy: (policy.min_auc_lower, policy.min_auc),
        good=lambda policy: (policy.min_auc, math.inf),
    ),
)
