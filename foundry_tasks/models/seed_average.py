"""The mean of several fits: what one seed got right by luck, the others do not."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np

from foundry_tasks.models.design import Rows, Scores, Transform
from foundry_tasks.models.estimator import (
    Estimator,
    FittedModel,
    Mapper,
    Prepared,
    SavedModel,
    Stopping,
    Target,
    shares,
)


@dataclass(frozen=True)
class AveragedModel:
    """Its score is the mean of its members', which eat the same inputs."""

    kind = "averaged"
    members: tuple[FittedModel, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The members' inputs, in order."""
        return self.members[0].names

    @property
    def transform(self) -> Transform:
        """The members'."""
        return self.members[0].transform

    @property
    def lookback_sessions(self) -> int:
        """The members'."""
        return self.members[0].lookback_sessions

    def score(self, inputs: Rows, *, threads: int = 1) -> Scores:
        """n_rows → (n_rows,) log-odds."""
        total = np.zeros(len(inputs))
        for member in self.members:
            total += member.score(inputs, threads=threads)
        return total / len(self.members)

    def gain(self) -> Mapping[str, float]:
        """Mean of the members' shares."""
        gains = [member.gain() for member in self.members]
        return shares(np.array([fsum(gain[name] for gain in gains) for name in self.names]), self.names)

    def first_seed(self) -> "AveragedModel":
        """The first member alone."""
        return AveragedModel(self.members[:1])

    def to_bytes(self) -> bytes:
        """JSON around the members'."""
        members = [json.loads(member.to_bytes()) for member in self.members]
        return json.dumps({"kind": self.kind, "members": members}).encode()

    @classmethod
    def from_dict(cls, saved: SavedModel, load_member: Callable[[SavedModel], FittedModel]) -> "AveragedModel":
        """What `to_bytes` wrote."""
        return cls(tuple(load_member(member) for member in saved["members"]))


def fit_averaged(
    estimator: Estimator,
    prepared: Prepared,
    target: Target,
    *,
    seeds: Sequence[int],
    stopping: Stopping | None = None,
    mapper: Mapper = map,
) -> AveragedModel:
    """One fit a seed on the same prepared rows; one fit where a seed makes no difference."""
    used = seeds if estimator.seeded else seeds[:1]
    return AveragedModel(estimator.fit(prepared, target, seeds=used, stopping=stopping, mapper=mapper))
