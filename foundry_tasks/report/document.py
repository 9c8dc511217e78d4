"""One plain document from a run: what `report.json` is, and all that the page and the Markdown are written from. Pure."""

from foundry_tasks.contract.documents import Report
from foundry_tasks.report.report_inputs import ReportInputs
from foundry_tasks.report.sections import sections


def assemble(inputs: ReportInputs) -> Report:
    """The report of a run. A part of the run that is missing is None or empty."""
    parts = [(section, part) for section in sections() if (part := section.assemble(inputs)) is not None]
    keys = {key: value for section, part in parts if section.top_level for key, value in part}
    own = {section.name: part.model_dump(mode="json") for section, part in parts if not section.top_level}
    return Report.model_validate({**keys, "sections": own})
