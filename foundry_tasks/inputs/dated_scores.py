"""Published scores and forecasts of a run, found by date. The leakage audit reads them so, and not by the order of their rows."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foundry_tasks.audit.stacks import PublishedForecast
from foundry_tasks.contract.config import ModelName, ModelsConfig
from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.contract.errors import MissingInputError
from foundry_tasks.contract.stage_inputs import StageInputs
from foundry_tasks.data.panel import DateArray, FloatArray
from foundry_tasks.data.tables import Matrices, read_matrices


class DatedScores:
    """Out-of-fold scores and P(up) of the dates of given sessions. Files that were read stay in memory.

    sessions: the run's, (n_sessions,).
    """

    def __init__(self, published: StageInputs, sessions: DateArray) -> None:
        self._published = published
        self._sessions = sessions
        self._read: dict[Path, Matrices] = {}

    @cached_property
    def _models(self) -> list[ModelName]:
        return sorted(ModelsConfig.model_validate(self._published.any_result("models").config).models)

    @cached_property
    def _score_files(self) -> Mapping[str, Path]:
        return {
            name: self._published.artifact(result, name)
            for result in self._published.shards("models")
            for name in result.outputs
            if name.startswith("scores/")
        }

    def of_model(self, horizon: int, model: ModelName, fold: Fold, at: npt.NDArray[np.intp]) -> FloatArray:
        """Scores of a base model, (len(at), n_tickers). at: indices of sessions. Raises MissingInputError without the file."""
        name = f"scores/{horizon}d/{model}/{fold.name}.parquet"
        if name not in self._score_files:
            raise MissingInputError(f"stage 'models' has published no {name}. Run its shards, or the stage as a whole.")
        return self._rows(self._score_files[name], "score", at)

    def of_models(self, horizon: int, fold: Fold, window: Window) -> dict[str, FloatArray]:
        """Base model → scores, (len(window), n_tickers), as in `StackInputs`."""
        at = np.arange(window.start, window.stop)
        return {model: self.of_model(horizon, model, fold, at) for model in self._models}

    def forecast(self, horizon: int, fold: Fold, at: npt.NDArray[np.intp]) -> PublishedForecast:
        """What the ensemble has published of sessions of a fold. at: their indices."""
        path = self._published.path("ensemble", f"{horizon}d/{fold.name}.parquet")
        return PublishedForecast(*(self._rows(path, name, at) for name in ("p_up", "base_rate", "score")))

    def _rows(self, path: Path, name: str, at: npt.NDArray[np.intp]) -> FloatArray:
        """(len(at), n_tickers), NaN where the file lacks the date."""
        if path not in self._read:
            self._read[path] = read_matrices(path)
        file, dates = self._read[path], self._sessions[at]
        place = np.minimum(np.searchsorted(file.sessions, dates), len(file.sessions) - 1)
        rows: FloatArray = np.where((file.sessions[place] == dates)[:, None], file[name][place], np.nan)
        return rows
