"""Gates as a matrix: a row a gate, a cell a horizon, every bar of a row on the same scale."""

from collections.abc import Mapping
from dataclasses import dataclass

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents import Gate, Report
from foundry_tasks.report import interval_bars, wording


@dataclass(frozen=True, slots=True)
class GateCell:
    """A gate at one horizon, as text and as a bar."""

    gate: Gate
    value: str
    note: str
    interval: str
    bar: str


@dataclass(frozen=True, slots=True)
class GateRow:
    """A gate at every horizon, every bar on the same scale. gate: the one that says what is asked."""

    name: str
    label: str
    gate: Gate
    cells: Mapping[int, GateCell]


def gate_matrix(document: Report) -> list[GateRow]:
    """A row for each gate that any horizon has; empty where nothing was judged."""
    policy = document.policy
    if policy is None:
        return []
    asked: dict[str, dict[int, Gate]] = {}
    for horizon, gates in document.gates.items():
        for gate in gates:
            asked.setdefault(gate.name, {})[horizon] = gate
    return [
        GateRow(name, wording.gate_style(name).label, next(iter(row.values())), _gate_cells(name, row, policy))
        for name, row in asked.items()
    ]


def _gate_cells(name: str, row: Mapping[int, Gate], policy: GatePolicy) -> dict[int, GateCell]:
    scale = interval_bars.gate_scale(name, list(row.values()), policy)
    return {
        horizon: GateCell(
            gate,
            wording.gate_value(gate),
            wording.gate_note(gate),
            wording.gate_interval(gate),
            interval_bars.range_bar(gate, scale, policy),
        )
        for horizon, gate in row.items()
    }
