"""Gates: value, interval, threshold and verdict of each at all horizons."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents import Gate, Report
from foundry_tasks.contract.documents.base import ByHorizon, Part
from foundry_tasks.contract.documents.gates import Policy
from foundry_tasks.report import wording
from foundry_tasks.report.gate_matrix import gate_matrix
from foundry_tasks.report.markdown_table import table
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.terminal_style import Terminal
from foundry_tasks.report.wording import horizon_name

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs


class Keys(Part):
    """The section's keys of report.json."""

    policy: Policy | None
    gates: ByHorizon[tuple[Gate, ...]]


def _assemble(inputs: "ReportInputs") -> Keys:
    found = inputs.documents.gates
    gates: Mapping[int, tuple[Gate, ...]] = (
        {horizon: item.gates for horizon, item in found.horizons.items()} if found else {}
    )
    return Keys(policy=found.policy if found else None, gates=gates)


def _html(document: Report) -> Values | None:
    matrix = gate_matrix(document)
    return {"matrix": matrix} if matrix else None


def _markdown(document: Report) -> Iterator[str]:
    if document.policy:
        yield f"## Gates, with {document.policy.confidence:.0%} intervals"
        yield ""
    for horizon, gates in document.gates.items():
        yield f"### {horizon_name(horizon)}: {document.status.verdicts[horizon]}"
        yield ""
        yield from table(
            ("gate", "value", "interval", "threshold", "verdict", "note"),
            [
                (
                    wording.gate_style(gate.name).label, wording.gate_value(gate), wording.gate_interval(gate) or "–",
                    gate.threshold, f"{wording.VERDICT_SIGNS[gate.verdict]} {gate.verdict}", gate.note,
                )
                for gate in gates
            ],
        )  # fmt: skip


def _terminal(document: Report, terminal: Terminal) -> Iterator[str]:
    widths = (12, 10, 20, 38)
    for number, item in enumerate(document.status.horizons):
        if number:
            yield ""
        step = f" ({item.reached})" if item.reached else ""
        yield f"{item.name}: {terminal.painted(item.verdict)}{step}"
        yield from _row(("gate", f"{'value':>{widths[1]}}", "interval", "threshold"), widths, "verdict")
        for gate in document.gates[item.horizon]:
            value, bounds = wording.gate_value(gate), wording.gate_interval(gate) or "–"
            cells = (gate.name, f"{value:>{widths[1]}}", bounds, gate.threshold)
            yield from _row(cells, widths, terminal.painted(gate.verdict))


def _row(cells: Sequence[str], widths: Sequence[int], last: str) -> Iterator[str]:
    """A row of a table, in one or several lines; a cell wider than its column is wrapped at a blank."""
    wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    for number, parts in enumerate(zip_longest(*wrapped, fillvalue="")):
        line = "  ".join(f"{part:<{width}}" for part, width in zip(parts, widths, strict=True))
        yield f"  {line}  {'' if number else last}"


SECTION = Section(
    name="gates",
    order=30,
    assemble=_assemble,
    top_level=True,
    html=_html,
    markdown=_markdown,
    terminal=_terminal,
)
