"""The inputs of a stage: folds, labels, scores, forecasts, configs. Every artifact is read on first use."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from pydantic import JsonValue

from foundry_tasks.contract.config import EnsembleConfig, FeaturesConfig, LabelsConfig, ModelsConfig, PricesConfig
from foundry_tasks.contract.documents import Fold, Folds
from foundry_tasks.contract.documents.models import DeepHeadline
from foundry_tasks.contract.stage_inputs import StageInputs
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.data.tables import Matrices, read_matrices, read_prices
from foundry_tasks.features.labels import Labels
from foundry_tasks.inputs.label_file import read_labels
from foundry_tasks.inputs.scores import ScoreFiles
from foundry_tasks.walk.evidence import FoldOutput


class RunInputs:
    """Results of the earlier stages of this run. Raises MissingInputError if a stage has not published its result."""

    def __init__(self, published: StageInputs) -> None:
        self._published = published

    @cached_property
    def _walk(self) -> Folds:
        return self._published.read(Folds)

    @property
    def folds(self) -> Mapping[int, tuple[Fold, ...]]:
        """Horizon → warm-up blocks and reported folds, in order of time."""
        return self._walk.horizons

    @property
    def reported_folds(self) -> Mapping[int, list[Fold]]:
        """Horizon → the folds whose test windows are used as evidence."""
        return self._walk.reported

    @cached_property
    def prices_config(self) -> PricesConfig:
        """The conf of the prices stage."""
        return PricesConfig.model_validate(self._published.result("prices").config)

    @cached_property
    def prices(self) -> PricePanel:
        """The prices of this run."""
        return read_prices(self._published.path("prices", "prices.parquet"))

    @cached_property
    def features_config(self) -> FeaturesConfig:
        """The conf of the features stage."""
        return FeaturesConfig.model_validate(self._published.result("features").config)

    @cached_property
    def labels_config(self) -> LabelsConfig:
        """The conf of the labels stage."""
        return LabelsConfig.model_validate(self._published.result("labels").config)

    @cached_property
    def models_config(self) -> ModelsConfig:
        """The conf of the models stage."""
        return ModelsConfig.model_validate(self._published.any_result("models").config)

    def fitted_config(self, threads: int | None = None) -> ModelsConfig:
        """`models_config` with the size of deep models that the models stage chose, if it trained any.

        threads: number of threads; None for that of the models stage.
        """
        asked = dict(self._published.any_result("models").config)
        deep = [result.metrics["deep"] for result in self._published.shards("models") if "deep" in result.metrics]
        if deep:
            asked["deep_size"] = DeepHeadline.model_validate(deep[0]).size
        if threads is not None:
            asked["threads"] = threads
        return ModelsConfig.model_validate(asked)

    @cached_property
    def ensemble_config(self) -> EnsembleConfig:
        """The conf of the ensemble stage."""
        return EnsembleConfig.model_validate(self._published.result("ensemble").config)

    def configs(self, *stages: str) -> list[Mapping[str, JsonValue]]:
        """The conf of each of the stages, as in their results."""
        return [self._published.any_result(stage).config for stage in stages]

    @cached_property
    def scores(self) -> ScoreFiles:
        """The base models' out-of-fold scores."""
        return ScoreFiles(self._published)

    def forecasts(self, horizon: int, folds: Sequence[Fold]) -> list[FoldOutput]:
        """The ensemble's P(up) and base rate of each fold, on its validation and test windows."""
        found = []
        for fold in folds:
            file = self.forecast_file(horizon, fold, ("p_up", "base_rate"))
            found.append(FoldOutput(fold, file["p_up"], file["base_rate"]))
        return found

    def forecast_file(self, horizon: int, fold: Fold, names: Sequence[str] | None = None) -> Matrices:
        """Matrices of the ensemble for a fold: validation window first, then test window. names: None for all matrices."""
        return read_matrices(self._published.path("ensemble", f"{horizon}d/{fold.name}.parquet"), names)

    def tested_p_up(self, horizon: int, folds: Sequence[Fold]) -> FloatArray:
        """P(up) on the folds' test windows, (n_sessions, n_tickers)."""
        outputs = self.forecasts(horizon, folds)
        return np.concatenate([output.p_up[output.rows(output.fold.test)] for output in outputs])

    @cached_property
    def label_grid(self) -> Matrices:
        """Sessions and tickers of the labels, without values."""
        return read_matrices(self._published.path("labels", "labels.parquet"), [])

    def labels(self, horizon: int) -> Labels:
        """Labels of one horizon, (n_sessions, n_tickers) float64 each."""
        return read_labels(self._published.path("labels", "labels.parquet"), horizon)
