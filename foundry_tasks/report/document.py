"""The document `report.json` of a run. The page, the Markdown and the terminal are written from it alone. Pure."""

from foundry_tasks.contract.documents import Report
from foundry_tasks.report.report_inputs import ReportInputs
from foundry_tasks.report.sections import sections


def assemble(inputs: ReportInputs) -> Report:
    """The report of a run. Parts for which the run has no data are None or empty."""
    parts = [(section, part) for section in sections() if (part := section.assemble(inputs)) is not None]
    keys = {key: value for section, part in parts if section.top_level for key, value in part}
    own = {section.name: part.model_dump(mode="json") for section, part in parts if not section.top_level}
    return Report.model_validate({**keys, "sections": own})
