"""collapse: fits of base models that score every ticker of a session alike."""

from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle, writer


def judge(case: Case) -> Answer:
    """Warns only. A constant base model does not harm the average; the gate `spread` refuses when all are constant.

    Trees with thousands of rows per leaf are constant in every small market.
    """
    folds = len(case.evidence.test_relative)
    lost = {name: len(where) for name, where in case.evidence.collapsed.items() if where}
    named = "; ".join(f"{name} collapsed in {n} of {folds} folds" for name, n in lost.items())
    return Answer(
        value=float(sum(lost.values())),
        verdict="warned" if lost else "passed",
        note=named or "every one in every fold",
    )


GATE = GateDefinition(
    name="collapse",
    order=60,
    question="Does every base model tell tickers apart?",
    threshold=lambda _: "warns where one does not",
    judge=judge,
    style=GateStyle("Collapsed fits of base models", writer(".0f")),
)
