"""decision.json."""

from typing import ClassVar

from foundry_tasks.contract.documents.base import Document


class Decision(Document):
    """A person's decision about a model version, and the ledger record that holds it."""

    stage: ClassVar[str] = "decide"
    artifact: ClassVar[str] = "decision.json"

    model: str
    event: str
    version: int
    champion_before: int | None
    champion_after: int | None
    who: str
    why: str
    record: int
    """Sequence of the ledger record."""
    hash: str
    """Hash of the ledger record."""
