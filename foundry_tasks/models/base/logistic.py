"""Logistic regression with an L2 penalty, its scaler inside, by Newton's method.

Scores are linear in the session's ranks: what each input says is added up, and nothing else is. Newton's method needs a
handful of passes, each one matrix product, where a quasi-Newton solver takes a hundred.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships none

from foundry_tasks.contract.config import LabelKind
from foundry_tasks.models.design import Inputs, Scores, Transform
from foundry_tasks.models.estimator import BaseModel, Mapper, Prepared, SavedModel, Stopping, Target, learnable, shares
from foundry_tasks.models.scaler import Scaler, Vector, row_chunks

_MAX_STEPS = 20
_TOLERANCE = 1e-3
"""Newton's error is the square of its last step."""


@dataclass(frozen=True)
class LogisticModel:
    """log-odds = intercept + Σ coefficient · scaled input."""

    lookback_sessions: ClassVar[int] = 0
    names: tuple[str, ...]
    transform: Transform
    scaler: Scaler
    coefficients: Vector
    intercept: float

    def score(self, inputs: Inputs, *, threads: int = 1) -> Scores:  # noqa: ARG002 - the product's threads are numpy's
        """(n_rows, n_inputs) → (n_rows,) log-odds."""
        scores = np.empty(len(inputs))
        for rows in row_chunks(len(inputs)):
            scores[rows] = self.scaler.apply(inputs[rows]).astype(np.float64) @ self.coefficients
        return scores + self.intercept

    def gain(self) -> Mapping[str, float]:
        """Shares of the coefficients' sizes; inputs are on one scale."""
        return shares(np.abs(self.coefficients), self.names)

    def to_bytes(self) -> bytes:
        """JSON."""
        return json.dumps(
            {
                "kind": LogisticRegression.name,
                "names": self.names,
                "transform": self.transform,
                **self.scaler.to_dict(),
                "coefficients": self.coefficients.tolist(),
                "intercept": self.intercept,
            }
        ).encode()

    @classmethod
    def from_dict(cls, saved: SavedModel) -> "LogisticModel":
        """What `to_bytes` wrote."""
        scaler = Scaler.from_dict(saved)
        coefficients = np.array(saved["coefficients"], dtype=np.float64)
        return cls(tuple(saved["names"]), saved["transform"], scaler, coefficients, float(saved["intercept"]))


@dataclass(frozen=True)
class _Scaled:
    scaler: Scaler
    inputs: Inputs


@dataclass(frozen=True)
class LogisticRegression:
    """l2: the penalty on each squared coefficient, in shares of the mean log-loss."""

    l2: float = 1e-2

    name: ClassVar[str] = "logistic"
    transform: ClassVar[Transform] = "rank"
    label_kind: ClassVar[LabelKind] = "sector"
    seeded: ClassVar[bool] = False
    library: ClassVar[str] = "numpy"

    def prepare(self, inputs: Inputs, names: tuple[str, ...]) -> Prepared:
        """Learn the scaler."""
        return Prepared(names, _Scaled(Scaler.of(inputs), inputs), len(inputs))

    def fit(
        self,
        prepared: Prepared,
        target: Target,
        *,
        seeds: Sequence[int],
        stopping: Stopping | None = None,  # noqa: ARG002 - nothing to stop
        mapper: Mapper = map,  # noqa: ARG002 - one fit serves all seeds
    ) -> tuple[LogisticModel, ...]:
        """Newton's method from 0; the intercept is not penalised. The solution is unique: every seed has the same model."""
        known = learnable(target)
        scaled: _Scaled = prepared.data
        weights = np.zeros(len(prepared.names) + 1)
        weights[-1] = _log_odds(float(np.mean(target[known])))
        penalty = np.full(len(weights), self.l2)
        penalty[-1] = 0.0
        for _ in range(_MAX_STEPS):
            # One thread: chunks are small, waiting threads cost more than they save, and bits stay the same everywhere.
            with threadpool_limits(1, user_api="blas"):
                gradient, hessian = _derivatives(scaled, target, known, weights)
                step = np.linalg.solve(hessian + np.diag(penalty + 1e-12), gradient - penalty * weights)
            weights = weights + step
            if np.abs(step).max() < _TOLERANCE:
                break
        model = LogisticModel(prepared.names, self.transform, scaled.scaler, weights[:-1], float(weights[-1]))
        return (model,) * len(seeds)


def _log_odds(share: float) -> float:
    return float(np.log(share / (1 - share)))


def _derivatives(
    scaled: _Scaled, target: Target, known: npt.NDArray[np.bool_], weights: Vector
) -> tuple[Vector, Vector]:
    """Gradient and Hessian of the mean log-likelihood; rows are scaled anew, which takes a third more time and no memory."""
    size = len(weights)
    gradient, hessian = np.zeros(size), np.zeros((size, size))
    for chunk in row_chunks(len(scaled.inputs)):
        rows = np.ones((chunk.stop - chunk.start, size), dtype=np.float32)
        rows[:, :-1] = scaled.scaler.apply(scaled.inputs[chunk])
        p = 1 / (1 + np.exp(-(rows @ weights.astype(np.float32))))
        residual = np.where(known[chunk], target[chunk] - p, 0).astype(np.float32)
        curvature = np.where(known[chunk], p * (1 - p), 0).astype(np.float32)
        gradient += rows.T @ residual
        hessian += (rows * curvature[:, None]).T @ rows
    n_known = int(known.sum())
    return gradient / n_known, hessian / n_known


BASE_MODEL = BaseModel(LogisticRegression(), LogisticModel.from_dict)
