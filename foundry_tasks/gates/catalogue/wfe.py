"""wfe: walk-forward efficiency, the edge in the test divided by the edge in validation."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle, writer

if TYPE_CHECKING:
    from foundry_tasks.data.panel import FloatArray
    from foundry_tasks.statistics.block_means import Interval


def judge(case: Case) -> Answer:
    """Gates the efficiency of direction relative to the session's median. That of up/down measures drift and is noted only."""
    from foundry_tasks.evaluation.wfe import wfe_interval

    evidence, policy = case.evidence, case.policy

    def wfe(validation: "Sequence[FloatArray]", test: "Sequence[FloatArray]") -> "Interval":
        return wfe_interval(validation, test, horizon=evidence.horizon, resampling=case.resampling)

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
    note = (
        f"relative to the median; 95 % quantile of the null: {_percent(case.null.figures['wfe'].q95)}; "
        f"on up/down {_percent(drift.value)}, which measures drift"
    )
    return Answer.about(relative, verdict, note)


def _percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "undefined"


GATE = GateDefinition(
    name="wfe",
    order=20,
    question="Does the edge seen in validation survive the test?",
    threshold=lambda policy: f"≥ {policy.min_wfe:.0%}, warns below {policy.warn_wfe:.0%} or if unsure",
    judge=judge,
    style=GateStyle(
        "Walk-forward efficiency",
        writer(".0f", 100, " %"),
        marks=lambda policy: (policy.min_wfe,),
        good=lambda policy: (policy.min_wfe, math.inf),
        limits=(-1.0, 2.0),
        undefined_because="validation shows no edge that the test could keep",
    ),
)
