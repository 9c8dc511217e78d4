"""Base classes and field types of all documents."""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

T = TypeVar("T")
V = TypeVar("V")


def _finite(value: T) -> T | None:
    """None for NaN and infinity, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _by_key(horizons: Mapping[int, T]) -> Mapping[int, T]:
    return dict(sorted(horizons.items()))


Figure = Annotated[float | None, BeforeValidator(_finite)]
"""A measured number; None where it is undefined. NaN and infinity become None."""

ByHorizon = Annotated[Mapping[int, T], AfterValidator(_by_key)]
"""Horizon in sessions → item, the shortest first."""


class Part(BaseModel):
    """A part of a document. Unknown keys are ignored: a newer version may have written them.

    Where the key in JSON differs from the name of a field, it is the field's serialization alias.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True, serialize_by_alias=True)


class Document(Part):
    """A JSON artifact of a stage, read by `io.read` and published by `io.publish`."""

    stage: ClassVar[str]
    """The stage that publishes it."""
    artifact: ClassVar[str]
    """Name of the artifact among the stage's outputs."""

    def merged(self, other: Self) -> Self:  # noqa: ARG002 - for documents that shards publish in parts
        """Merge the documents of two shards. By default both are equal; a document in parts overrides this."""
        return self


class HorizonsDocument(Document, Generic[T]):
    """A document with one item per horizon."""

    horizons: ByHorizon[T]

    @model_validator(mode="before")
    @classmethod
    def _of_an_earlier_version(cls, value: V) -> V | dict[str, V]:
        """Versions up to 0.2 wrote some of these documents without the key `horizons`."""
        bare = isinstance(value, Mapping) and value and all(isinstance(key, str) and key.isdigit() for key in value)
        return {"horizons": value} if bare else value


class Interval(Part):
    """An estimate and its confidence interval, None where undefined."""

    value: Figure
    lower: Figure = None
    upper: Figure = None
