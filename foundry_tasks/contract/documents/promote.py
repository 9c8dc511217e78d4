"""promotion.json: the versions that a run registered, and their verdicts in the ledger."""

from typing import ClassVar, Literal

from foundry_tasks.contract.documents.base import HorizonsDocument, Part

Event = Literal["registered", "challenger", "refused", "skipped", "promoted", "rolled_back"]
"""Event of a version in the ledger. `registered` comes first, then `promoted` or another verdict."""


class Promotion(Part):
    """The registered version of one horizon."""

    model: str
    version: int
    event: Event
    """The ledger's verdict on it."""
    why: str
    champion_before: int | None
    champion_after: int | None
    sha256: str
    """SHA-256 of the bundle."""
    record: int
    """Sequence number of the verdict in the ledger."""
    uri: str
    """`models:/…`"""
    url: str
    """Page of the version on the MLflow server, else its URI."""


class Promotions(HorizonsDocument[Promotion]):
    """The registered version of every horizon."""

    stage: ClassVar[str] = "promote"
    artifact: ClassVar[str] = "promotion.json"
