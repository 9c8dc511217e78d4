"""The contract of a section of the report. A module of `report/sections/` has one `SECTION`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.documents.report import Report
from foundry_tasks.report.terminal_style import Terminal

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs  # reads arrays; the terminal's summary needs none

Values = Mapping[str, object]
"""Names that a template reads."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section: its part of report.json, and how the page, the Markdown and the terminal show it.

    `assemble` makes the part from the run; None: the run has none. It is stored under `sections` by the section's name, and
    `Report.part` reads it back with its type. A report without the part does not show the section.
    """

    name: str
    """A word that no other section has: the key in `sections`, and the name of the template."""
    order: int
    """Sections are shown by ascending order."""
    title: str = ""
    """Heading of the Markdown, and `title` in the template. Empty: the section writes its headings itself."""
    assemble: "Callable[[ReportInputs], Part | None]" = lambda _: None
    top_level: bool = False
    """The part's fields are keys of report.json itself, and the section is always asked what it shows. Built-in sections."""
    html: Callable[[Report], Values | None] = lambda _: None
    """The template's values, besides the keys of the report; None: not on the page."""
    template: str = ""
    """The template's text. Empty: the file `<name>.html.j2` beside the module."""
    markdown: Callable[[Report], Iterable[str]] = lambda _: ()
    terminal: Callable[[Report, Terminal], Iterable[str]] = lambda _report, _terminal: ()
    """Lines of at most `terminal.WIDTH` columns."""

    def is_in(self, report: Report) -> bool:
        """Whether the report has something of this section."""
        return self.top_level or self.name in report.sections
