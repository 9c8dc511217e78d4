"""auc: mean per-session AUC of P(up) against up/down."""

import math

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle


def judge(case: Case) -> Answer:
    """Two tests: lower bound > min_auc_lower, and value > 95 % quantile of the strictest null. Near miss if value < min_auc.

    The nulls are that of the run itself and those of audits on the same prices, also of other recipes. Undefined if the
    policy asks for a stored null that does not exist.

    The interval and the null estimate the same sampling error in two ways. On noise with persistent scores the null of
    shifted labels alone passes 11 to 14 %, both tests together 2 to 3 %. The rule lower bound > quantile would count the
    error twice: of 100 markets with an oracle AUC of 0.53 it passed 24, the two tests 61.
    """
    from foundry_tasks.evaluation import metrics
    from foundry_tasks.gates.null_distribution import strictest

    p_up, up, policy, null = case.evidence.p_up, case.evidence.up, case.policy, case.null
    interval, q95 = case.interval(metrics.session_auc(p_up, up)), null.figures["auc"].q95
    note = (
        f"pooled {metrics.pooled_auc(p_up, up):.4f}; 95 % quantile of the null: {q95:.4f} (labels shifted by "
        f"≥ {null.min_shift_sessions} sessions, {null.shifts} shifts in {null.blocks} blocks)"
    )
    refitted, refits = strictest(case.refitted, "auc"), max((each.refits("auc") for each in case.refitted), default=0)
    if refitted is not None:
        again, whose = refitted.q95("auc"), "" if refitted.own else " of another recipe on the same prices"
        note += f"; of the refitted null{whose}: {again:.4f} ({refitted.refits('auc')} refits, prices until {refitted.until})"
        q95 = max(q95, again)
    verdict: GateVerdict
    if not (interval.defined and math.isfinite(q95)):
        verdict, note = "undefined", f"{interval.blocks} independent blocks, {policy.min_blocks} are needed; {note}"
    elif refits < policy.min_null_refits:
        verdict, note = "undefined", f"{_missing(policy, refits)}; {note}"
    elif not (interval.lower > policy.min_auc_lower and interval.value > q95):
        verdict = "failed"
    elif interval.value < policy.min_auc:
        verdict = "near miss"
    else:
        verdict = "passed"
    return Answer.about(interval, verdict, note)


def threshold(policy: GatePolicy) -> str:
    """The thresholds of value and lower bound, as text."""
    nulls = f"; a null of ≥ {policy.min_null_refits} refits" if policy.min_null_refits else ""
    return f"≥ {policy.min_auc:g} and above the null's 95 % quantile, lower bound > {policy.min_auc_lower:g}{nulls}"


def _missing(policy: GatePolicy, refits: int) -> str:
    return (
        f"the policy asks for a null of {policy.min_null_refits} refits on these prices, and the largest that is stored has "
        f"{refits}: run the audit"
    )


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
