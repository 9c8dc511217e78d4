"""One scale for every input: what models that add inputs up need, and trees do not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foundry_tasks.models.design import Inputs

Vector = npt.NDArray[np.float64]

_CLIP = 5.0
"""Deviations; an input beyond them is as far as one can be."""


@dataclass(frozen=True)
class Scaler:
    """Mean and deviation of each input, (n_inputs,); a missing value becomes the mean, that is 0."""

    mean: Vector
    deviation: Vector

    @classmethod
    def of(cls, inputs: Inputs) -> "Scaler":
        """Learn from (n_rows, n_inputs), NaN left out. An input that does not move, or is never there, is scaled to 0."""
        known = np.isfinite(inputs)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, inputs, 0).sum(axis=0, dtype=np.float64) / count
        variance = np.square(np.where(known, inputs - mean.astype(np.float32), 0)).sum(axis=0, dtype=np.float64) / count
        deviation = np.sqrt(variance)
        return cls(mean, np.where(deviation > 1e-9 * np.maximum(np.abs(mean), 1e-9), deviation, np.inf))

    def apply(self, inputs: Inputs) -> Inputs:
        """(…, n_inputs) → the same shape, float32: scaled, clipped, without NaN."""
        scaled: Inputs = np.subtract(inputs, self.mean, dtype=np.float32)
        scaled /= self.deviation.astype(np.float32)
        np.clip(scaled, -_CLIP, _CLIP, out=scaled)
        scaled[np.isnan(scaled)] = 0.0
        return scaled

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which knows no infinity."""
        deviation = [None if np.isinf(value) else value for value in self.deviation.tolist()]
        return {"mean": self.mean.tolist(), "deviation": deviation}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Scaler":
        """What `to_dict` wrote."""
        deviation = [np.inf if value is None else value for value in saved["deviation"]]
        return cls(np.array(saved["mean"], dtype=np.float64), np.array(deviation, dtype=np.float64))
