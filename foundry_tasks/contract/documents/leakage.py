"""leakage.json."""

from typing import ClassVar

from foundry_tasks.contract.documents.base import Document


class Leakage(Document):
    """What the leakage audit found."""

    stage: ClassVar[str] = "leakage"
    artifact: ClassVar[str] = "leakage.json"

    leaks: tuple[str, ...]
    """A sentence for each leak; empty for a clean run."""
    checked: tuple[str, ...]
    """A sentence for each check that was made."""
    not_audited: tuple[str, ...] = ()
    """A sentence for each part of the run that this audit has not covered. Other runs draw other parts."""
