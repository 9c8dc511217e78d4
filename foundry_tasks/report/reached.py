"""How far a model's ranking goes: to the labels, to a price that can still be traded, to a profit after costs."""

from foundry_tasks.contract.documents import HorizonGates, TrialFigures

RANKS = "ranks"
TRADABLE = "ranks and can be traded"
EARNS = "earns after costs"


def reached(judged: HorizonGates, trials: TrialFigures | None, confidence: float) -> str:
    """The highest step whose gates and those of all steps below have passed; empty if there is none.

    RANKS: the gate `auc` has passed. TRADABLE: `tradable` too. EARNS: `earns` too, and the deflated Sharpe ratio is at least
    `confidence`. A model with a leak, or whose gates were skipped, reaches nothing. A gates.json of an earlier version lacks
    the later gates; RANKS is then the highest step.
    """
    passed = {gate.name for gate in judged.gates if gate.verdict == "passed"}
    if judged.verdict == "skipped" or "leakage" in judged.failed or "auc" not in passed:
        return ""
    if "tradable" not in passed:
        return RANKS
    deflated = trials.deflated if trials else None
    return EARNS if "earns" in passed and deflated is not None and deflated >= confidence else TRADABLE
