"""The page: one HTML file without external resources, written from the report's document."""

from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents import Report
from foundry_tasks.report import wording
from foundry_tasks.report.section import Section
from foundry_tasks.report.sections import sections_of

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).resolve().parent
STYLE = _FOLDER / "page.css"
"""The style sheet of every page."""


def page_environment() -> "Environment":
    """Jinja environment of this folder's templates. It escapes HTML; undefined names raise an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only a page needs it

    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def write_html(document: Report) -> str:
    """`report.html`. It is also well-formed XML, so that tests can parse it."""
    environment = page_environment()
    environment.globals.update(signs=wording.VERDICT_SIGNS)
    environment.filters |= {
        "figure": wording.figure,
        "percent": lambda value: wording.figure(value, wording.percent),
        "bp": lambda value: wording.figure(value, wording.bp),
        "days": wording.horizon_name,
        "seconds": wording.seconds,
        "short": lambda digest: digest[:12],
    }
    parts = [_part(environment, section, document) for section in sections_of(document)]
    page: str = environment.get_template("page.html.j2").render(run=document.run, style=STYLE.read_text(), parts=parts)
    return page


def _part(environment: "Environment", section: Section, document: Report) -> str:
    values = section.html(document)
    if values is None:
        return ""
    template = (
        environment.from_string(section.template)
        if section.template
        else environment.get_template(f"sections/{section.name}.html.j2")
    )
    part: str = template.render({**dict(document), "title": section.title, **values})
    return part
