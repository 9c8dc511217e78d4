"""The sections of the report, one module each. A module that is added here is in the report; nothing else names it."""

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module

from foundry_tasks.contract.documents.report import Report
from foundry_tasks.report.section import Section


@cache
def sections() -> tuple[Section, ...]:
    """Every section, by ascending order. Raises ValueError where two have one name."""
    found: dict[str, Section] = {}
    for module in pkgutil.iter_modules(__path__):
        section: Section = import_module(f"{__name__}.{module.name}").SECTION
        if section.name in found:
            raise ValueError(f"two sections of the report have the name {section.name!r}: rename one.")
        found[section.name] = section
    return tuple(sorted(found.values(), key=lambda section: (section.order, section.name)))


def sections_of(report: Report) -> Iterator[Section]:
    """The sections that a report has something of. A part that no section here knows is ignored."""
    return (section for section in sections() if section.is_in(report))
