"""models: base models per horizon and walk-forward fold; their out-of-fold scores are what everything after lives on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foundry_tasks.contract.config import LabelsConfig, ModelName, ModelsConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.tables import Matrices, read_features, write_matrices
from foundry_tasks.features.labels import reach
from foundry_tasks.models.averaged import AveragedModel
from foundry_tasks.models.base_models import BASE_MODELS
from foundry_tasks.models.design import Design, Designs
from foundry_tasks.models.importance import permutation_importance
from foundry_tasks.models.targets import TargetFile
from foundry_tasks.models.training import FitWindow, WindowTrainer
from foundry_tasks.validation.walk_forward import Fold, WalkForwardValidator, folds_to_json

TOP_INPUTS = 12
"""Inputs whose permutation importance is measured, by gain."""
Walk = Mapping[int, tuple[Fold, ...]]


def run(config: ModelsConfig, io: StageIO) -> None:
    """features, labels → scores/{h}d/{model}/{fold}.parquet, fit/{h}d/{model}.json of the last fold, folds.json."""
    labelled = LabelsConfig.model_validate(io.result("labels").config)
    if not set(config.horizons) <= set(labelled.horizons):
        raise ConfigError(
            f"horizons={list(config.horizons)}: this run has labels of {list(labelled.horizons)} alone. Run labels again "
            "with the same horizons."
        )
    reaches = {h: reach(h, labelled.label_entry) for h in config.horizons}
    with io.step("read"):
        features = read_features(io.path("features", "features.parquet"))
        targets = TargetFile(io.path("labels", "labels.parquet"))
    validator = WalkForwardValidator(config)
    walk: Walk = {h: validator.folds(len(features.sessions), reaches[h]) for h in config.horizons}
    piece = Piece.of(io.identity.shard, config, walk)
    io.publish_json("folds.json", folds_to_json(walk))
    designs = Designs(features)
    importance: dict[str, dict[str, Any]] = {str(h): {} for h in piece.horizons}
    io.progress.start("models", len(piece.models) * len(piece.blocks) * len(piece.horizons))
    for name in piece.models:
        estimator = BASE_MODELS[name]
        with io.step("design"):
            design = designs[estimator.transform]
        for block in piece.blocks:
            windows = {h: fit_window(walk[h][block], reaches[h] + config.embargo_sessions) for h in config.horizons}
            with io.step(f"fit_{name}"):
                trainer = WindowTrainer(estimator, design, list(windows.values()), config)
            for horizon in piece.horizons:
                fold = walk[horizon][block]
                labels = targets.wide(horizon, config.label_kind or estimator.label_kind)
                with io.step(f"fit_{name}"):
                    model = trainer.fit(labels, windows[horizon])
                with io.step(f"score_{name}"):
                    _publish_scores(io, f"{horizon}d/{name}/{fold.name}", fold, trainer, model, targets.grid)
                if fold is walk[horizon][-1]:
                    io.publish(f"fit/{horizon}d/{name}.json", model.to_bytes())
                    with io.step("importance"):
                        importance[str(horizon)][name] = _importance(model, design, labels, fold, config)
                io.progress.advance(f"{name} {horizon}d {fold.name}")
    io.publish_json("importance.json", importance)
    if targets.single:
        io.warn(f"{len(features.tickers)} tickers: no session to compare within, so base models learn up or down")


@dataclass(frozen=True)
class Piece:
    """What of the stage this task computes: all of it, or what its shard names, such as `h=5,model=lightgbm,fold=3`."""

    horizons: tuple[int, ...]
    models: tuple[ModelName, ...]
    blocks: tuple[int, ...]

    @classmethod
    def of(cls, shard: str | None, config: ModelsConfig, walk: Walk) -> "Piece":
        """Read a shard. Raises ConfigError where it names what the config does not hold."""
        wanted = dict(part.partition("=")[::2] for part in (shard or "").split(",") if part)
        names = [fold.name for fold in walk[config.horizons[0]]]
        piece = cls(
            tuple(h for h in config.horizons if wanted.get("h", str(h)) == str(h)),
            tuple(m for m in config.models if wanted.get("model", m) == m),
            tuple(i for i, name in enumerate(names) if wanted.get("fold", name) == name),
        )
        if not (piece.horizons and piece.models and piece.blocks) or set(wanted) - {"h", "model", "fold"}:
            raise ConfigError(
                f"shard {shard!r} is not a piece of horizons {list(config.horizons)}, models {list(config.models)}, "
                f"folds {names}. Write it as h=5,model=lightgbm,fold=fold3."
            )
        return piece


def fit_window(fold: Fold, reach: int) -> FitWindow:
    """A fold's fit window, as a trainer takes it."""
    return FitWindow(fold.fit.start, fold.fit.stop, reach)


def _publish_scores(
    io: StageIO, name: str, fold: Fold, trainer: WindowTrainer, model: AveragedModel, grid: Matrices
) -> None:
    """Scores on validation and test, NaN in the purge between, as one matrix from the first to the last of them."""
    start, stop = (fold.validation or fold.test).start, fold.test.stop
    scores = trainer.score(model, start, stop)
    if fold.validation is not None:
        scores[fold.validation.stop - start : fold.test.start - start] = np.nan
    path = io.workspace / f"{name.replace('/', '-')}.parquet"
    write_matrices(path, Matrices(grid.sessions[start:stop], grid.tickers, {"score": scores}))
    io.publish(f"scores/{name}.parquet", path)


def _importance(
    model: AveragedModel, design: Design, labels: Any, fold: Fold, config: ModelsConfig
) -> dict[str, dict[str, float]]:
    """Gain of the last fold's model, and permutation importance on its validation window."""
    window = fold.validation or fold.test
    rows = design.rows(window.start, window.stop)
    permutation = permutation_importance(
        model,
        design.values[rows],
        design.from_wide(labels, rows),
        design.session[rows],
        top=TOP_INPUTS,
        seed=config.seed,
        threads=config.threads,
    )
    gain = sorted(model.gain().items(), key=lambda item: -item[1])[: 2 * TOP_INPUTS]
    return {"gain": dict(gain), "permutation": permutation}
