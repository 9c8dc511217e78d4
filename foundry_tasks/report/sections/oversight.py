"""Policy and looks: what decides the verdicts, which look this is, who decided what, and the state of ledger and code."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.documents.report import Oversight, PersonsDecision, Report
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.terminal_style import Terminal, wrapped

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs

OUT_OF_SCOPE = (
    "A report cannot tell: two stores, a store deleted with its registry, notebooks on out-of-fold files, edited gate code, "
    "edited price files, a typed name. See docs/evidence.md, What is out of scope."
)


class Keys(Part):
    """The section's key of report.json."""

    oversight: Oversight | None


def _assemble(inputs: "ReportInputs") -> Keys:
    return Keys(oversight=inputs.oversight)


def _facts(found: Oversight) -> Iterator[tuple[str, str]]:
    """Name and text of each fact."""
    yield "policy", found.policy[:12]
    if found.look:
        may = found.look.because or "it can promote by itself"
        yield "look", f"number {found.look.number} at these data; {may}"
    for decision in found.decisions:
        yield "decided", _decision(decision)
    yield "ledger", f"since {found.ledger_since}" if found.ledger_since else "no record"
    if found.ledger_fault:
        yield "ledger", f"does not verify: {found.ledger_fault}"
    yield "code", "a release" if found.code_is_a_release else "not a release: its sources are those of no release"


def _decision(decision: PersonsDecision) -> str:
    person = decision.who if decision.authenticated else f"{decision.who}, person not authenticated"
    return f"{decision.what}; {person}; {decision.when}: {decision.why}"


def _html(document: Report) -> Values | None:
    found = document.oversight
    return {"facts": list(_facts(found)), "out_of_scope": OUT_OF_SCOPE} if found else None


def _markdown(document: Report) -> Iterator[str]:
    if document.oversight:
        yield from (f"- {name}: {text}" for name, text in _facts(document.oversight))
        yield ""
        yield OUT_OF_SCOPE
        yield ""


def _terminal(document: Report, _terminal: Terminal) -> Iterator[str]:
    if document.oversight:
        yield "Policy and looks"
        for name, text in _facts(document.oversight):
            yield from wrapped(f"{name} {text}", "  ")


SECTION = Section(
    name="oversight",
    order=35,
    title="Policy and looks",
    assemble=_assemble,
    top_level=True,
    html=_html,
    markdown=_markdown,
    terminal=_terminal,
)
