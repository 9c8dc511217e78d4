"""The base models' out-of-fold scores of a run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foundry_tasks.contract.config import ModelsConfig
from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.contract.errors import MissingInputError
from foundry_tasks.contract.stage_inputs import StageInputs
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.data.tables import read_matrices
from foundry_tasks.models.meta_learner import average

BLEND = "blend_40_60"
REFERENCE_BLEND = {"logistic": 0.4, "lightgbm": 0.6}
"""The reference system's average, reported beside the stack so that a user sees whether stacking earns its place."""


class ScoreFiles:
    """The base models' out-of-fold scores of a run, whatever tasks the models stage was mapped over.

    A file is read once as long as the same horizon is asked for.
    """

    def __init__(self, published: StageInputs) -> None:
        self._horizon = 0
        self._read: dict[str, FloatArray] = {}
        self._models = ModelsConfig.model_validate(published.any_result("models").config).models
        self._files = {
            name: published.artifact(result, name)
            for result in published.shards("models")
            for name in result.outputs
            if name.startswith("scores/")
        }

    def of(self, horizon: int, fold: Fold, window: Window) -> dict[str, FloatArray]:
        """Model → (len(window), n_tickers), by the models of `fold`. Raises MissingInputError where a shard is missing."""
        start = (fold.validation or fold.test).start
        found = {}
        for name, path in sorted(self._files.items()):
            _, h, model, block = name.removesuffix(".parquet").split("/")
            if h == f"{horizon}d" and block == fold.name:
                found[model] = self._scores(horizon, name, path)[window.start - start : window.stop - start]
        missing = [model for model in self._models if model not in found]
        if missing:
            raise MissingInputError(
                f"stage 'models' has published no {horizon}d scores of {', '.join(missing)} for {fold.name}. Run what is "
                f"missing, such as --shard h={horizon},model={missing[0]},fold={fold.name}, or the stage as a whole."
            )
        return found

    def _scores(self, horizon: int, name: str, path: Path) -> FloatArray:
        if horizon != self._horizon:
            self._horizon, self._read = horizon, {}
        if name not in self._read:
            self._read[name] = read_matrices(path)["score"]
        return self._read[name]

    def tested(self, horizon: int, folds: Sequence[Fold]) -> dict[str, FloatArray]:
        """Every base model's scores on the test windows of `folds`, one below the other, and the reference blend of them."""
        parts = [self.of(horizon, fold, fold.test) for fold in folds]
        columns: dict[str, FloatArray] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if set(REFERENCE_BLEND) <= set(columns):
            columns[BLEND] = average({name: columns[name] for name in REFERENCE_BLEND}, REFERENCE_BLEND)
        return columns
