"""A base model as a contributor writes it, made of NumPy alone: one file, which a test copies into `models/base`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.config import LabelKind
from foundry_tasks.models.design import Inputs, Scores, Transform
from foundry_tasks.models.estimator import BaseModel, Mapper, Prepared, Stopping, Target, learnable, shares


@dataclass(frozen=True)
class MeanRankModel:
    """Σ weight · rank."""

    lookback_sessions: ClassVar[int] = 0
    transform: ClassVar[Transform] = "rank"
    names: tuple[str, ...]
    weights: npt.NDArray[np.float64]

    def score(self, inputs: Inputs, *, threads: int = 1) -> Scores:  # noqa: ARG002 - one product
        return np.asarray(np.nan_to_num(inputs) @ self.weights, dtype=np.float64)

    def gain(self) -> Mapping[str, float]:
        return shares(np.abs(self.weights), self.names)

    def to_bytes(self) -> bytes:
        return json.dumps({"kind": MeanRank.name, "names": self.names, "weights": self.weights.tolist()}).encode()

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "MeanRankModel":
        return cls(tuple(saved["names"]), np.array(saved["weights"], dtype=np.float64))


@dataclass(frozen=True)
class MeanRank:
    """A rank weighs as much as it differs, on average, between the rows above and those below."""

    name: ClassVar[str] = "mean_rank"
    transform: ClassVar[Transform] = "rank"
    label_kind: ClassVar[LabelKind] = "median"
    seeded: ClassVar[bool] = False
    library: ClassVar[str] = "numpy"

    def prepare(self, inputs: Inputs, names: tuple[str, ...]) -> Prepared:
        return Prepared(names, np.nan_to_num(inputs), len(inputs))

    def fit(
        self,
        prepared: Prepared,
        target: Target,
        *,
        seeds: Sequence[int],
        stopping: Stopping | None = None,  # noqa: ARG002 - nothing to stop
        mapper: Mapper = map,  # noqa: ARG002 - one fit serves all seeds
    ) -> tuple[MeanRankModel, ...]:
        known = learnable(target)
        above, below = (prepared.data[known & (target == side)].mean(axis=0, dtype=np.float64) for side in (1, 0))
        return (MeanRankModel(prepared.names, above - below),) * len(seeds)


BASE_MODEL = BaseModel(MeanRank(), MeanRankModel.from_dict)
