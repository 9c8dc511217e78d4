"""The labels of a run as what base models learn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from foundry_tasks.contract.config import DeepTask, LabelKind, ModelName, ModelsConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.data.tables import read_matrices
from foundry_tasks.features.labels import MIN_GROUP, Labels
from foundry_tasks.models.base_models import BASE_MODELS
from foundry_tasks.models.deep.deep_classifier import tasks_of

LabelSource = Callable[[int, LabelKind | DeepTask], FloatArray]
"""horizon, which label → (n_sessions, n_tickers), NaN where there is none."""


def target_of(name: ModelName, horizon: int, config: ModelsConfig, labels: LabelSource) -> FloatArray:
    """What a base model learns: (n_sessions, n_tickers), 0 or 1; of several tasks (n_sessions, n_tickers, n_tasks).

    The tasks are those of `tasks_of`, the sign first. Too few tickers have no median, and learn up or down. Raises
    ConfigError where they were to learn the size of their moves, which is relative to a session's.
    """
    sign = labels(horizon, config.label_kind or BASE_MODELS[name].label_kind)
    beside, n_tickers = tasks_of(name, config)[1:], sign.shape[1]
    if beside and n_tickers < MIN_GROUP:
        raise ConfigError(
            f"deep_tasks={list(config.deep_tasks)} compare the tickers of a session, at least {MIN_GROUP}, and there are "
            f"{n_tickers}. Set deep_tasks=sign."
        )
    if n_tickers < MIN_GROUP:
        return labels(horizon, "up")
    return np.stack([sign, *(labels(horizon, task) for task in beside)], axis=-1) if beside else sign


class TargetFile:
    """labels.parquet, one matrix read when it is first asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: dict[str, FloatArray] = {}
        self.grid = read_matrices(path, [])
        self.single = len(self.grid.tickers) < MIN_GROUP
        """Too few tickers to have a median."""

    def wide(self, horizon: int, kind: LabelKind | DeepTask) -> FloatArray:
        """A LabelSource."""
        name = f"{kind}_{horizon}d"
        if name not in self._read:
            self._read[name] = read_matrices(self._path, [name])[name]
        return self._read[name]


def read_labels(path: Path, horizon: int) -> Labels:
    """All labels of one horizon from labels.parquet, float64."""
    names = [f"{kind}_{horizon}d" for kind in ("return", "up", "median", "sector", "size", "volatility")]
    matrices = read_matrices(path, names)
    return Labels(*(matrices[name].astype(np.float64) for name in names))
