"""folds.json, the walk of a run, and importance.json."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from foundry_tasks.contract.config import DeepSize, fold_name
from foundry_tasks.contract.documents.base import HorizonsDocument, Part


@dataclass(frozen=True, slots=True)
class Window:
    """Sessions start … stop − 1, by index."""

    start: int
    stop: int

    def __len__(self) -> int:
        return max(self.stop - self.start, 0)

    @property
    def slice(self) -> slice:
        """For indexing the first axis of a wide matrix."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, slots=True)
class Fold:
    """One block of the walk. `number` counts reported folds from 1; warm-up blocks have 0, −1, … before them."""

    number: int
    fit: Window
    validation: Window | None
    test: Window

    @property
    def reported(self) -> bool:
        """Whether its test is evidence, or a warm-up for the meta-learner and the calibrator."""
        return self.number >= 1

    @property
    def name(self) -> str:
        """`fold3`, or `warmup1` for the earliest warm-up block's place before the first fold."""
        return fold_name(self.number)

    def windows(self) -> Iterator[tuple[str, Window]]:
        """Named windows in the order of time."""
        yield "fit", self.fit
        if self.validation is not None:
            yield "validation", self.validation
        yield "test", self.test


class Folds(HorizonsDocument[tuple[Fold, ...]]):
    """Horizon → warm-up blocks and reported folds, in the order of time."""

    stage: ClassVar[str] = "models"
    artifact: ClassVar[str] = "folds.json"

    @property
    def reported(self) -> Mapping[int, list[Fold]]:
        """Horizon → the folds whose tests are evidence."""
        return {horizon: [fold for fold in walk if fold.reported] for horizon, walk in self.horizons.items()}


class ModelImportance(Part):
    """What a base model of the last fold looks at, by input; inputs that are not named have smaller shares."""

    gain: Mapping[str, float] = {}
    """Share of the model's gain; empty for a model that has none."""
    permutation: Mapping[str, float] = {}
    """AUC per session that is lost on the validation window where the input is shuffled within sessions."""


class Importance(HorizonsDocument[Mapping[str, ModelImportance]]):
    """Horizon → base model → importance. A shard publishes what it has fitted of the last fold."""

    stage: ClassVar[str] = "models"
    artifact: ClassVar[str] = "importance.json"

    def merged(self, other: Self) -> Self:
        """Both shards' models."""
        both = {
            horizon: {**self.horizons.get(horizon, {}), **other.horizons.get(horizon, {})}
            for horizon in (*self.horizons, *other.horizons)
        }
        return type(self)(horizons=both)


class DeepHeadline(Part):
    """What the stage's result says of a shard that fits deep models: what its machine made of the config."""

    device: str
    """`CPU`, or the name of the GPU."""
    size: DeepSize
    epochs: int
