"""leakage: findings of the leakage audit."""

from foundry_tasks.contract.documents.gates import Gate
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle


def judge(case: Case) -> Answer:
    """Fails if the audit has at least one finding."""
    leaks = case.evidence.leaks
    return Answer(
        value=float(len(leaks)), verdict="failed" if leaks else "passed", note="; ".join(leaks) or "audit clean"
    )


def _short_note(gate: Gate) -> str:
    """The first finding and the number of others; leakage.json lists all."""
    found = gate.value or 0
    return f"{gate.note.split('; ', maxsplit=1)[0]}; and {found - 1:.0f} more" if found > 1 else gate.note


GATE = GateDefinition(
    name="leakage",
    order=90,
    question="Could the data of that day have produced it?",
    threshold=lambda _: "no finding",
    judge=judge,
    style=GateStyle(
        "Leakage audit",
        lambda found: "clean" if found == 0 else f"{found:.0f} found",
        short_note=_short_note,
        note_tells_refusal=True,
    ),
)
