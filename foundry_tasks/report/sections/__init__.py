"""The sections of the report, one module each. They are found by listing this package; there is no other list of them."""

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module

from foundry_tasks.contract.documents.report import Report
from foundry_tasks.report.section import Section


@cache
def sections() -> tuple[Section, ...]:
    """All sections, by ascending order. Raises ValueError if two have the same name."""
    found: dict[str, Section] = {}
    for module in pkgutil.iter_modules(__path__):
        section: Section = import_module(f"{__name__}.{module.name}").SECTION
        if section.name in found:
            raise ValueError(f"two sections of the report have the name {section.name!r}: rename one.")
        found[section.name] = section
    return tuple(sorted(found.values(), key=lambda section: (section.order, section.name)))


def sections_of(report: Report) -> Iterator[Section]:
    """The sections whose part is in the report. Parts of unknown sections are ignored."""
    return (section for section in sections() if section.is_in(report))
