"""The contract of a section of the report. A module of `report/sections/` has one `SECTION`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.documents.report import Report
from foundry_tasks.report.terminal_style import Terminal

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs  # imports NumPy; the terminal's summary runs without it

Values = Mapping[str, object]
"""Name in the template → value."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section: its part of report.json, and how the page, the Markdown and the terminal show it.

    `assemble` makes the part from the run's inputs, or returns None. The part is stored under `sections` by the section's
    name; `Report.part` reads it back with its type. A report without the part does not show the section.
    """

    name: str
    """Unique: the key in `sections`, and the name of the template."""
    order: int
    """Sections are shown by ascending order."""
    title: str = ""
    """Heading in the Markdown, and `title` in the template. Empty: the section writes its own headings."""
    assemble: "Callable[[ReportInputs], Part | None]" = lambda _: None
    top_level: bool = False
    """For built-in sections: the part's fields are top-level keys of report.json, and every report shows the section."""
    html: Callable[[Report], Values | None] = lambda _: None
    """The template's values in addition to the keys of the report; None: the page does not show the section."""
    template: str = ""
    """The template's text. Empty: the file `<name>.html.j2` beside the module."""
    markdown: Callable[[Report], Iterable[str]] = lambda _: ()
    terminal: Callable[[Report, Terminal], Iterable[str]] = lambda _report, _terminal: ()
    """Lines of at most `terminal.WIDTH` columns."""

    def is_in(self, report: Report) -> bool:
        """Whether the report has the section's part."""
        return self.top_level or self.name in report.sections
