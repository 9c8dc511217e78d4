"""The mean of several fits of one base model with different seeds, which reduces the variance due to the seed."""

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
    """A model whose score is the mean of its members' scores. The members have the same inputs.

    members: at least one fitted model, one for each seed.
    """

    kind = "averaged"
    members: tuple[FittedModel, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs of the members, in order."""
        return self.members[0].names

    @property
    def transform(self) -> Transform:
        """The transform of the members."""
        return self.members[0].transform

    @property
    def lookback_sessions(self) -> int:
        """Sessions before a row's own that the members read."""
        return self.members[0].lookback_sessions

    def score(self, inputs: Rows, *, threads: int = 1) -> Scores:
        """Mean of the members' log-odds. inputs: n_rows rows. Returns (n_rows,)."""
        total = np.zeros(len(inputs))
        for member in self.members:
            total += member.score(inputs, threads=threads)
        return total / len(self.members)

    def gain(self) -> Mapping[str, float]:
        """Input → mean of the members' shares of gain."""
        gains = [member.gain() for member in self.members]
        return shares(np.array([fsum(gain[name] for gain in gains) for name in self.names]), self.names)

    def first_seed(self) -> "AveragedModel":
        """A model of the first member alone."""
        return AveragedModel(self.members[:1])

    def to_bytes(self) -> bytes:
        """JSON that holds the JSON of every member."""
        members = [json.loads(member.to_bytes()) for member in self.members]
        return json.dumps({"kind": self.kind, "members": members}).encode()

    @classmethod
    def from_dict(cls, saved: SavedModel, load_member: Callable[[SavedModel], FittedModel]) -> "AveragedModel":
        """The inverse of `to_bytes`. load_member: parsed JSON of a member → the member."""
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
    """Fit once per seed on the same prepared rows; once in all if the estimator is not seeded.

    prepared: n_rows rows. target: (n_rows,) or (n_rows, n_tasks). stopping: the window for early stopping, or None.
    mapper: calls the fit for each seed. Raises DegenerateTargetError if the target has fewer than two classes.
    """
    used = seeds if estimator.seeded else seeds[:1]
    return AveragedModel(estimator.fit(prepared, target, seeds=used, stopping=stopping, mapper=mapper))
