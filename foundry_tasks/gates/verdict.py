"""The verdict on a model, which follows from the results of all gates."""

from collections.abc import Sequence

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents.gates import Gate, GateReport, ModelVerdict, NullQuantiles, NullSummary
from foundry_tasks.gates.case import Case, interval_of
from foundry_tasks.gates.definition import GateDefinition
from foundry_tasks.gates.null_distribution import NullDistribution, RefittedNull, null_distribution
from foundry_tasks.gates.registry import GATES
from foundry_tasks.walk.evidence import Evidence

__all__ = ["evaluate_gates", "interval_of", "verdict_of"]


def evaluate_gates(
    evidence: Evidence, policy: GatePolicy, *, seed: int, refitted: Sequence[RefittedNull] = ()
) -> GateReport:
    """Evaluate all gates. Pure: the same arguments give the same report.

    seed: of the bootstrap. refitted: the nulls of audits on these prices, one per recipe; the strictest null counts.
    """
    case = Case(evidence, policy, seed, null_distribution(evidence), refitted)
    gates = tuple(_judged(gate, case) for gate in GATES.values())
    return GateReport(horizon=evidence.horizon, verdict=verdict_of(gates), gates=gates, null=_summary(case.null))


def verdict_of(gates: Sequence[Gate]) -> ModelVerdict:
    """Passed if no gate refuses; challenger if all refusals are near misses, which a person may approve; else refused."""
    refusing = [gate for gate in gates if gate.refuses]
    if not refusing:
        return "passed"
    return "challenger" if all(gate.verdict == "near miss" for gate in refusing) else "refused"


def _judged(gate: GateDefinition, case: Case) -> Gate:
    answer = gate.judge(case)
    return Gate(
        name=gate.name,
        question=gate.question,
        value=answer.value,
        threshold=gate.threshold(case.policy),
        verdict=answer.verdict,
        lower=answer.lower,
        upper=answer.upper,
        note=answer.note,
    )


def _summary(null: NullDistribution) -> NullSummary:
    return NullSummary(
        min_shift_sessions=null.min_shift_sessions,
        shifts=null.shifts,
        blocks=null.blocks,
        figures={
            name: NullQuantiles(
                observed=found.observed,
                mean=found.mean,
                q05=found.q05,
                q50=found.q50,
                q95=found.q95,
                chance=found.chance,
            )
            for name, found in null.figures.items()
        },
    )
