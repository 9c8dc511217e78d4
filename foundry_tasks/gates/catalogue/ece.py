"""ece: expected calibration error in equal-mass bins."""

import math

from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle


def judge(case: Case) -> Answer:
    """Fails if the lower bound is above max_ece, warns if only the value is."""
    from foundry_tasks.statistics.calibration_error import calibration_error_interval

    evidence, policy = case.evidence, case.policy
    interval = calibration_error_interval(
        evidence.p_up, evidence.up, horizon=evidence.horizon, resampling=case.resampling
    )
    verdict: GateVerdict = "failed" if interval.lower > policy.max_ece else "passed"
    if not interval.defined:
        verdict = "undefined"
    elif verdict == "passed" and interval.value > policy.max_ece:
        verdict = "warned"
    return Answer.about(interval, verdict, "equal-mass bins, rows that the calibrator never saw")


GATE = GateDefinition(
    name="ece",
    order=40,
    question="Does P(up) mean what it says?",
    threshold=lambda policy: f"lower bound ≤ {policy.max_ece:g}",
    judge=judge,
    style=GateStyle(
        "Calibration error",
        marks=lambda policy: (policy.max_ece,),
        good=lambda policy: (0.0, policy.max_ece),
        limits=(0.0, math.inf),
    ),
)
