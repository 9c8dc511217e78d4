"""champion: mean per-session AUC minus the champion's, on sessions and tickers that both forecast out of fold."""

import math

from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle, writer


def judge(case: Case) -> Answer:
    """Passes if there is no champion."""
    import numpy as np

    from foundry_tasks.evaluation.metrics import session_auc

    evidence, note = case.evidence, case.evidence.champion_note
    if evidence.champion_p_up is None:
        return Answer(value=None, verdict="passed", note=note)
    mine = np.where(np.isfinite(evidence.champion_p_up), evidence.p_up, np.nan)
    theirs = np.where(np.isfinite(mine), evidence.champion_p_up, np.nan)
    interval = case.interval(session_auc(mine, evidence.up) - session_auc(theirs, evidence.up))
    verdict: GateVerdict = "passed" if interval.lower > case.policy.min_champion_difference else "failed"
    return Answer.about(interval, verdict if interval.defined else "undefined", note)


GATE = GateDefinition(
    name="champion",
    order=100,
    question="Is it no worse than the champion?",
    threshold=lambda policy: f"lower bound > {policy.min_champion_difference:g}",
    judge=judge,
    style=GateStyle(
        "Against the champion",
        writer("+.4f"),
        marks=lambda policy: (policy.min_champion_difference,),
        good=lambda policy: (policy.min_champion_difference, math.inf),
    ),
)
