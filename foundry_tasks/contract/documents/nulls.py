"""nulls.json, and a null in the store."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import JsonValue

from foundry_tasks.contract.documents.base import Figure, HorizonsDocument, Part


class StoredNull(Part):
    """Gated figures of a recipe, refitted once per shift of the labels. `nulls/…` of the store holds the newest."""

    recipe: Mapping[str, JsonValue]
    """Key of the conf → value. Its digest is part of the key in the store."""
    until: str
    """ISO date of the last session of the market that it was computed on."""
    shifts: tuple[int, ...]
    """In sessions."""
    figures: Mapping[str, tuple[Figure, ...]]
    """Name of the figure → one value per shift."""


class Nulls(HorizonsDocument[StoredNull]):
    """Horizon → null."""

    stage: ClassVar[str] = "nulls"
    artifact: ClassVar[str] = "nulls.json"
