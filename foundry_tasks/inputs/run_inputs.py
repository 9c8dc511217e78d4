"""The inputs of a stage by their meaning: folds, labels, recipes. Every artifact is read when it is first asked for."""

from collections.abc import Mapping
from functools import cached_property

from foundry_tasks.contract.config import FeaturesConfig, LabelsConfig, ModelsConfig, PricesConfig
from foundry_tasks.contract.documents import Fold, Folds
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.tables import Matrices, read_matrices
from foundry_tasks.features.labels import Labels
from foundry_tasks.models.targets import read_labels


class RunInputs:
    """What the stages before this one have published in this run. Raises MissingInputError where one has not."""

    def __init__(self, io: StageIO) -> None:
        self._io = io

    @cached_property
    def _walk(self) -> Folds:
        return self._io.read(Folds)

    @property
    def folds(self) -> Mapping[int, tuple[Fold, ...]]:
        """Horizon → warm-up blocks and reported folds, in the order of time."""
        return self._walk.horizons

    @property
    def reported_folds(self) -> Mapping[int, list[Fold]]:
        """Horizon → the folds whose test windows are evidence."""
        return self._walk.reported

    @cached_property
    def prices_config(self) -> PricesConfig:
        """The conf of the prices stage."""
        return PricesConfig.model_validate(self._io.result("prices").config)

    @cached_property
    def features_config(self) -> FeaturesConfig:
        """The conf of the features stage."""
        return FeaturesConfig.model_validate(self._io.result("features").config)

    @cached_property
    def labels_config(self) -> LabelsConfig:
        """The conf of the labels stage."""
        return LabelsConfig.model_validate(self._io.result("labels").config)

    @cached_property
    def models_config(self) -> ModelsConfig:
        """The conf of the models stage, as it was asked."""
        return ModelsConfig.model_validate(self._io.any_result("models").config)

    @cached_property
    def label_grid(self) -> Matrices:
        """Sessions and tickers of the labels, without values."""
        return read_matrices(self._io.path("labels", "labels.parquet"), [])

    def labels(self, horizon: int) -> Labels:
        """Labels of one horizon, (n_sessions, n_tickers) float64 each."""
        return read_labels(self._io.path("labels", "labels.parquet"), horizon)
