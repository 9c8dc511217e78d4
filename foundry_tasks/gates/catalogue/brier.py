"""brier: Brier score of P(up) minus that of the base rate."""

import math

from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle, writer


def judge(case: Case) -> Answer:
    """Fails if the lower bound is above 0, warns if only the value is."""
    from foundry_tasks.evaluation.metrics import session_brier

    evidence = case.evidence
    difference = session_brier(evidence.p_up, evidence.up) - session_brier(evidence.base_rate, evidence.up)
    interval = case.interval(difference)
    verdict: GateVerdict = "undefined" if not interval.defined else "failed" if interval.lower > 0 else "passed"
    if verdict == "passed" and interval.value > 0:
        verdict = "warned"
    return Answer.about(interval, verdict, "Brier(P(up)) − Brier(base rate)")


GATE = GateDefinition(
    name="brier",
    order=30,
    question="Is P(up) better than the base rate known at the time?",
    threshold=lambda _: "interval not entirely above 0",
    judge=judge,
    style=GateStyle(
        "Brier against base rate",
        writer("+.5f"),
        marks=lambda _: (0.0,),
        good=lambda _: (-math.inf, 0.0),
    ),
)
