"""nulls.json, and a null in the store."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import JsonValue

from foundry_tasks.contract.documents.base import Figure, HorizonsDocument, Part


class StoredNull(Part):
    """Gated figures of a recipe that is fitted anew once a shift of the labels; `nulls/…` of the store holds the newest."""

    recipe: Mapping[str, JsonValue]
    """Key of the conf → value. The key in the store is the digest of it."""
    until: str
    """ISO date of the last session of the market it was made on."""
    shifts: tuple[int, ...]
    """In sessions."""
    figures: Mapping[str, tuple[Figure, ...]]
    """Name of the figure → one value a shift."""


class Nulls(HorizonsDocument[StoredNull]):
    """Horizon → null."""

    stage: ClassVar[str] = "nulls"
    artifact: ClassVar[str] = "nulls.json"
