"""The report as Markdown: the same document, for a terminal, a pull request or a chat."""

from collections.abc import Iterator

from foundry_tasks.contract.documents import Report
from foundry_tasks.report.section import Section
from foundry_tasks.report.sections import sections_of


def write_markdown(document: Report) -> str:
    """`report.md`."""
    lines = (line for section in sections_of(document) for line in _lines(section, document))
    return "\n".join(lines).rstrip() + "\n"


def _lines(section: Section, document: Report) -> Iterator[str]:
    lines = list(section.markdown(document))
    if lines and section.title:
        yield f"## {section.title}"
        yield ""
    yield from lines
