"""spread: standard deviation of P(up) between the tickers of a session."""

import math

from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle


def judge(case: Case) -> Answer:
    """Fails if dispersion or share of distinct scores is near zero, warns if the dispersion is small for the AUC.

    A calibrated P(up) with base rate b and AUC a has a dispersion of about 2√π·b(1 − b)·(a − ½).
    """
    import numpy as np

    from foundry_tasks.evaluation import metrics
    from foundry_tasks.evaluation.collapse import collapse_of

    p_up, up = case.evidence.p_up, case.evidence.up
    session, ticker = np.nonzero(np.isfinite(p_up))
    found = collapse_of(p_up[session, ticker], session)
    base, auc = metrics.known_mean(up), metrics.known_mean(metrics.session_auc(p_up, up))
    expected = 2 * math.sqrt(math.pi) * base * (1 - base) * max(auc - 0.5, 0.0)
    ratio = found.dispersion / expected if expected > 0 else math.nan
    narrow = math.isfinite(ratio) and ratio < case.policy.min_spread_ratio
    verdict: GateVerdict = "failed" if found.collapsed else "warned" if narrow else "passed"
    if math.isnan(found.dispersion):
        verdict = "undefined"
    note = (
        f"expected {expected:.4f} from the AUC; {found.flat_sessions:.0%} of the sessions flat, "
        f"{found.distinct_share:.0%} of a session's distinct"
    )
    return Answer(value=found.dispersion, verdict=verdict, note=note)


GATE = GateDefinition(
    name="spread",
    order=50,
    question="Do predictions differ between tickers?",
    threshold=lambda policy: f"not collapsed; warns below {policy.min_spread_ratio:g} × expected",
    judge=judge,
    style=GateStyle("Dispersion of P(up)"),
)
