"""promotion.json: the versions that a run registered, and what the ledger says of them."""

from typing import ClassVar, Literal

from foundry_tasks.contract.documents.base import HorizonsDocument, Part

Event = Literal["registered", "challenger", "refused", "skipped", "promoted", "rolled_back"]
"""What the ledger says of a version. Every version is `registered` first; then `promoted` or one of the other verdicts."""


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
    """Of the bundle."""
    record: int
    """Sequence number of the verdict in the ledger."""
    uri: str
    """`models:/…`"""
    url: str
    """What a person opens or loads."""


class Promotions(HorizonsDocument[Promotion]):
    """The registered version of every horizon."""

    stage: ClassVar[str] = "promote"
    artifact: ClassVar[str] = "promotion.json"
