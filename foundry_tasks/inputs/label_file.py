"""The labels of a run: targets of the base models, and labels for the evaluation."""

from pathlib import Path

import numpy as np

from foundry_tasks.contract.config import DeepTask, LabelKind
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.data.tables import read_matrices
from foundry_tasks.features.labels import MIN_GROUP, Labels


class TargetFile:
    """Targets in labels.parquet. Each matrix is read on first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: dict[str, FloatArray] = {}
        self.grid = read_matrices(path, [])
        self.single = len(self.grid.tickers) < MIN_GROUP
        """Whether there are too few tickers for a median."""

    def wide(self, horizon: int, kind: LabelKind | DeepTask) -> FloatArray:
        """The labels for `target_of`, (n_sessions, n_tickers), NaN where there is none."""
        name = f"{kind}_{horizon}d"
        if name not in self._read:
            self._read[name] = self.once(horizon, kind)
        return self._read[name]

    def once(self, horizon: int, kind: LabelKind | DeepTask) -> FloatArray:
        """The same, read anew and not kept."""
        name = f"{kind}_{horizon}d"
        labels: FloatArray = read_matrices(self._path, [name])[name]
        return labels


def read_labels(path: Path, horizon: int) -> Labels:
    """All labels of one horizon from labels.parquet, float64."""
    names = [f"{kind}_{horizon}d" for kind in ("return", "up", "median", "sector", "size", "volatility")]
    matrices = read_matrices(path, names)
    return Labels(*(matrices[name].astype(np.float64) for name in names))
