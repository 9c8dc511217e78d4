"""Standardisation of inputs, for models that sum over inputs; trees do not need it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from foundry_tasks.models.design import Inputs
from foundry_tasks.models.estimator import SavedModel

Vector = npt.NDArray[np.float64]

_CLIP = 5.0
"""Standardised inputs are clipped to ± this many deviations."""
_CHUNK_ROWS = 65_536


def row_chunks(n_rows: int) -> Iterator[slice]:
    """Slices of _CHUNK_ROWS rows: intermediate arrays stay small, not copies of all rows."""
    return (slice(first, min(first + _CHUNK_ROWS, n_rows)) for first in range(0, n_rows, _CHUNK_ROWS))


class SavedScaler(TypedDict):
    """Mean and deviation of each input; None for an infinite deviation."""

    mean: list[float]
    deviation: list[float | None]


@dataclass(frozen=True)
class Scaler:
    """Mean and deviation of each input, (n_inputs,). A missing value is replaced by the mean, which is 0 after scaling."""

    mean: Vector
    deviation: Vector

    @classmethod
    def of(cls, inputs: Inputs) -> "Scaler":
        """Fit on (n_rows, n_inputs); NaN is ignored. An input that is constant or always NaN is scaled to 0."""
        total, squares, count = (np.zeros(inputs.shape[1]) for _ in range(3))
        for rows in row_chunks(len(inputs)):
            known = np.isfinite(inputs[rows])
            count += known.sum(axis=0)
            total += np.where(known, inputs[rows], 0).sum(axis=0, dtype=np.float64)
        count = np.maximum(count, 1)
        mean = total / count
        for rows in row_chunks(len(inputs)):
            distance = inputs[rows] - mean.astype(np.float32)
            squares += np.square(np.where(np.isfinite(distance), distance, 0)).sum(axis=0, dtype=np.float64)
        deviation = np.sqrt(squares / count)
        return cls(mean, np.where(deviation > 1e-9 * np.maximum(np.abs(mean), 1e-9), deviation, np.inf))

    def apply(self, inputs: Inputs) -> Inputs:
        """(input − mean) / deviation, clipped, NaN → 0: (…, n_inputs) → the same shape, float32."""
        scaled: Inputs = np.subtract(inputs, self.mean, dtype=np.float32)
        scaled /= self.deviation.astype(np.float32)
        np.clip(scaled, -_CLIP, _CLIP, out=scaled)
        scaled[np.isnan(scaled)] = 0.0
        return scaled

    def to_dict(self) -> SavedScaler:
        """As a JSON object; None stands for an infinite deviation, which JSON lacks."""
        deviation = [None if np.isinf(value) else value for value in self.deviation.tolist()]
        return {"mean": self.mean.tolist(), "deviation": deviation}

    @classmethod
    def from_dict(cls, saved: SavedModel) -> "Scaler":
        """The inverse of `to_dict`."""
        deviation = [np.inf if value is None else value for value in saved["deviation"]]
        return cls(np.array(saved["mean"], dtype=np.float64), np.array(deviation, dtype=np.float64))
