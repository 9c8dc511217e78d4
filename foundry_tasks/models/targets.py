"""The labels of a run as what base models learn."""

from pathlib import Path

from foundry_tasks.contract.config import LabelKind
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.data.tables import read_matrices
from foundry_tasks.features.labels import MIN_GROUP


class TargetFile:
    """labels.parquet, one matrix read when it is first asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: dict[str, FloatArray] = {}
        self.grid = read_matrices(path, [])
        self.single = len(self.grid.tickers) < MIN_GROUP
        """Too few tickers to have a median: everything learns up or down."""

    def wide(self, horizon: int, kind: LabelKind) -> FloatArray:
        """(n_sessions, n_tickers), 0 or 1, NaN where there is no label."""
        name = f"{'up' if self.single else kind}_{horizon}d"
        if name not in self._read:
            self._read[name] = read_matrices(self._path, [name])[name]
        return self._read[name]
