"""sign_balance: share of P(up) above ½, minus the share that base rate and dispersion explain."""

import math

from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle, writer


def judge(case: Case) -> Answer:
    """The expected share is Φ((b − ½)/σ) for base rate b and standard deviation σ of P(up)."""
    import numpy as np

    from foundry_tasks.evaluation.metrics import known_mean

    known = np.isfinite(case.evidence.p_up)
    p_up = case.evidence.p_up[known]
    base = known_mean(np.where(known, case.evidence.base_rate, np.nan))
    observed, dispersion = float((p_up > 0.5).mean()), float(p_up.std())
    expected = 0.5 * (1 + math.erf((base - 0.5) / (dispersion * math.sqrt(2)))) if dispersion > 0 else float(base > 0.5)
    gap = observed - expected
    return Answer(
        value=gap,
        verdict="failed" if abs(gap) > case.policy.max_sign_gap else "passed",
        note=f"observed {observed:.0%}, expected {expected:.0%}",
    )


GATE = GateDefinition(
    name="sign_balance",
    order=70,
    question="Is the share of up calls what the base rate explains?",
    threshold=lambda policy: f"within ± {policy.max_sign_gap:g}",
    judge=judge,
    style=GateStyle(
        "Sign balance",
        writer("+.1f", 100, " pp"),
        marks=lambda policy: (-policy.max_sign_gap, policy.max_sign_gap),
        good=lambda policy: (-policy.max_sign_gap, policy.max_sign_gap),
    ),
)
