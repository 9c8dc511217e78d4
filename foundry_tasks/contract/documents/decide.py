"""decision.json."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import JsonValue

from foundry_tasks.contract.documents.base import Document


class Decision(Document):
    """A person's decision about a model version or a market's policy, and the ledger record that holds it."""

    stage: ClassVar[str] = "decide"
    artifact: ClassVar[str] = "decision.json"

    model: str
    """Empty for a change of a policy."""
    event: str
    """Event of the record: `promoted`, `rolled_back` or `policy`."""
    version: int | None
    """None for a change of a policy, as are the champions."""
    champion_before: int | None
    champion_after: int | None
    market: str = ""
    """Of a change of a policy; empty otherwise, and in documents of earlier versions."""
    changes: Mapping[str, JsonValue] = {}
    """Changed keys of the policy."""
    policy_before: str = ""
    policy_after: str = ""
    """Digests of the policy, with its pending changes."""
    who: str
    authenticated: bool = False
    """Whether Airflow knew the person by a login. False in documents of earlier versions."""
    why: str
    record: int
    """Sequence of the ledger record."""
    hash: str
    """Hash of the ledger record."""
