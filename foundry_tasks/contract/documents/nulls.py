"""nulls.json, and a null in the store."""

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import JsonValue, model_validator

from foundry_tasks.contract.documents.base import Figure, HorizonsDocument, Part


class StoredNull(Part):
    """Gated figures of a recipe, refitted once per shift of the labels in one audit. `nulls/…` of the store holds all."""

    recipe: Mapping[str, JsonValue]
    """Key of the conf → value. Its digest is part of the key in the store."""
    until: str
    """ISO date of the last session of the market that it was computed on."""
    shifts: tuple[int, ...]
    """In sessions."""
    figures: Mapping[str, tuple[Figure, ...]]
    """Name of the figure → one value per shift."""

    @model_validator(mode="after")
    def _a_figure_has_one_value_per_shift(self) -> Self:
        if any(len(values) != len(self.shifts) for values in self.figures.values()):
            raise ValueError(f"a figure has not {len(self.shifts)} values, one per shift")
        return self


class Nulls(HorizonsDocument[StoredNull]):
    """Horizon → null."""

    stage: ClassVar[str] = "nulls"
    artifact: ClassVar[str] = "nulls.json"
