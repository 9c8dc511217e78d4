"""coverage: share of the universe's ticker-sessions that have a prediction."""

from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle, writer


def judge(case: Case) -> Answer:
    """Fails if predicted / all ticker-sessions of universe members < min_coverage."""
    import numpy as np

    member = case.evidence.member
    covered = float((np.isfinite(case.evidence.p_up) & member).sum() / max(member.sum(), 1))
    return Answer(value=covered, verdict="passed" if covered >= case.policy.min_coverage else "failed")


GATE = GateDefinition(
    name="coverage",
    order=80,
    question="Has every ticker of the universe a prediction?",
    threshold=lambda policy: f"≥ {policy.min_coverage:.0%}",
    judge=judge,
    style=GateStyle(
        "Coverage",
        writer(".1f", 100, " %"),
        marks=lambda policy: (policy.min_coverage,),
        good=lambda policy: (policy.min_coverage, 1.0),
        limits=(0.0, 1.0),
    ),
)
