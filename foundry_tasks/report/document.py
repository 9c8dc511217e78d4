"""One plain document from a run: what `report.json` is, and all that the page and the Markdown are written from. Pure."""

from foundry_tasks.contract.documents import Report
from foundry_tasks.report.report_inputs import ReportInputs
from foundry_tasks.report.sections import sections


def assemble(inputs: ReportInputs) -> Report:
    """The report of a run. A part of the run that is missing is None or empty."""
    keys: dict[str, object] = {}
    parts: dict[str, object] = {}
    for section in sections():
        part = section.assemble(inputs)
        if part is None:
            continue
        if section.top_level:
            keys |= dict(part)
        else:
            parts[section.name] = part.model_dump(mode="json")
    return Report.model_validate({**keys, "sections": parts})
