"""folds.json, the folds of a run's walk, and importance.json."""

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
        """Index for the first axis of a wide matrix."""
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
        """Whether its test is evidence. Warm-up blocks train the meta-learner and the calibrator."""
        return self.number >= 1

    @property
    def name(self) -> str:
        """Such as `fold3`; `warmup1` is the warm-up block just before `fold1`."""
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
    """Importance of the inputs of a last-fold base model. Inputs that are not named have smaller shares."""

    gain: Mapping[str, float] = {}
    """Share of the model's gain; empty for a model that has none."""
    permutation: Mapping[str, float] = {}
    """Loss of AUC per session on the validation window when the input is shuffled within sessions."""


class Importance(HorizonsDocument[Mapping[str, ModelImportance]]):
    """Horizon → base model → importance. A shard publishes the models of the last fold that it has fitted."""

    stage: ClassVar[str] = "models"
    artifact: ClassVar[str] = "importance.json"

    def merged(self, other: Self) -> Self:
        """The models of both shards."""
        both = {
            horizon: {**self.horizons.get(horizon, {}), **other.horizons.get(horizon, {})}
            for horizon in (*self.horizons, *other.horizons)
        }
        return type(self)(horizons=both)


class DeepHeadline(Part):
    """Headline of a shard that fits deep models: device, size and epochs on the machine that it runs on."""

    device: str
    """`CPU`, or the name of the GPU."""
    size: DeepSize
    epochs: int
