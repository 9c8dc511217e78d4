"""models: base models per horizon and walk-forward fold. Later stages read their out-of-fold scores."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from foundry_tasks.contract.checkpoints import Note
from foundry_tasks.contract.config import DEEP_MODELS, LabelsConfig, ModelName, ModelsConfig
from foundry_tasks.contract.documents import Folds, Importance
from foundry_tasks.contract.documents.models import DeepHeadline, ModelImportance
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.contract.stages import models_of, shard_parts
from foundry_tasks.data.tables import FeatureFile, Matrices, write_matrices
from foundry_tasks.features.labels import label_span
from foundry_tasks.inputs.label_file import TargetFile
from foundry_tasks.models.base_models import by_transform
from foundry_tasks.models.design import Designs
from foundry_tasks.models.fit_pool import FitPool
from foundry_tasks.models.market_regime import need_volatility
from foundry_tasks.models.per_regime import MIN_REGIME_SESSIONS
from foundry_tasks.walk.block_fits import BlockFitter, Fit, Walk, fitted_alone
from foundry_tasks.walk.folds import WalkForwardValidator


def run(config: ModelsConfig, io: StageIO) -> None:
    """features, labels → scores/{h}d/{model}/{fold}.parquet, fit/{h}d/{model}.json of the last fold, folds.json."""
    labelled = LabelsConfig.model_validate(io.inputs.result("labels").config)
    if not set(config.horizons) <= set(labelled.horizons):
        raise ConfigError(
            f"horizons={list(config.horizons)}: this run has labels of {list(labelled.horizons)} alone. Run labels again "
            "with the same horizons."
        )
    label_spans = {h: label_span(h, labelled.label_entry) for h in config.horizons}
    with io.step("read"):
        features = FeatureFile(io.path("features", "features.parquet"))
        targets = TargetFile(io.path("labels", "labels.parquet"))
    if config.per_regime:
        need_volatility(features.names, "per_regime")
    validator = WalkForwardValidator(config)
    walk: Walk = {h: validator.folds(len(features.sessions), label_spans[h]) for h in config.horizons}
    shard = Shard.of(io.identity.shard, config, walk)
    io.publish(Folds(horizons=walk))
    journal = StageJournal(io)
    fitter = BlockFitter(config, shard.horizons, walk, label_spans, Designs(features), targets.wide, io.step, journal)
    jobs = shard.longest_first()
    notes = {job: note for job in jobs if (note := io.checkpoints.load(_name(job, walk), FittedBlock))}
    to_do = [job for job in jobs if job not in notes]
    epochs = sum(map(fitted_alone, to_do)) * _plan_deep_models(io, shard.models, config) * config.seeds
    io.steps.progress.start("models", (len(jobs) + epochs) * len(shard.horizons))
    for job in notes:
        for horizon in shard.horizons:
            io.steps.progress.advance(f"{_name(job, walk)} {horizon}d kept by an earlier try")
    with FitPool(config.threads) as pool:
        # One design at a time: on a large market its rows take most of the memory.
        for transform, names in by_transform({name for name, _ in to_do}):
            alike = [job for job in to_do if job[0] in names]
            with io.step("design"):
                fitter.load(names)
            fitted = pool.jobs(partial(fitter.fit, pool), alike, alone=fitted_alone)
            for job, fits in zip(alike, fitted, strict=True):
                before = set(io.outputs.artifacts)
                notes[job] = _publish(io, fits, targets.grid, config)
                io.checkpoints.save(_name(job, walk), notes[job], set(io.outputs.artifacts) - before)
                journal.forget()
            fitter.designs.drop(transform)
    importance: dict[int, dict[str, ModelImportance]] = {h: {} for h in shard.horizons}
    for job in jobs:
        for warning in notes[job].warnings:
            io.warn(warning)
        for horizon, found in notes[job].importance.items():
            importance[horizon][job[0]] = found
    io.publish(Importance(horizons=importance))
    if targets.single:
        io.warn(
            f"{len(features.tickers)} tickers: too few to compare within a session, so base models learn up or down"
        )


@dataclass(frozen=True)
class Shard:
    """Horizons, models and blocks that a task fits: all, or those of a shard such as `h=5,model=lightgbm,fold=fold3`."""

    horizons: tuple[int, ...]
    models: tuple[ModelName, ...]
    blocks: tuple[int, ...]

    @classmethod
    def of(cls, written: str | None, config: ModelsConfig, walk: Walk) -> "Shard":
        """Parse the value of `--shard`; None: the whole stage. Raises ConfigError for a name that the config lacks."""
        wanted = shard_parts(written)
        names = [fold.name for fold in walk[config.horizons[0]]]
        shard = cls(
            tuple(h for h in config.horizons if wanted.get("h", str(h)) == str(h)),
            models_of(written, config.models),
            tuple(i for i, name in enumerate(names) if wanted.get("fold", name) == name),
        )
        if not (shard.horizons and shard.models and shard.blocks) or set(wanted) - {"h", "model", "fold"}:
            raise ConfigError(
                f"shard {written!r} is not in horizons {list(config.horizons)}, models {list(config.models)}, "
                f"folds {names}. Write it as h=5,model=lightgbm,fold=fold3."
            )
        return shard

    def longest_first(self) -> list[tuple[ModelName, int]]:
        """(model, block) of every job, boosters and the longest windows first, so that no long fit is left at the end.

        Models of one transform follow each other. Deep models come last, since each of their fits uses the whole machine.
        """
        models = [name for _, alike in by_transform(self.models) for name in alike]
        return [(name, block) for name in models for block in reversed(self.blocks)]


class FittedBlock(Note):
    """Warnings and importance of a job whose fits are published."""

    warnings: tuple[str, ...]
    importance: Mapping[int, ModelImportance]
    """Horizon → importance; of the last fold only."""


class LastEpoch(Note):
    """The state of a deep fit after its last epoch."""

    state: str
    """Base64; empty once the fit's block is saved."""


@dataclass(frozen=True)
class StageJournal:
    """Saves a deep fit's last epoch until its block is published, and reports progress."""

    io: StageIO
    _fits: set[str] = field(default_factory=set)

    def load(self, fit: str) -> bytes | None:
        """The state that an earlier try of this stage saved of a fit, None where there is none."""
        epoch = self.io.checkpoints.load(fit, LastEpoch)
        return base64.b64decode(epoch.state) if epoch and epoch.state else None

    def save(self, fit: str, state: bytes) -> None:
        """Save the state of a fit after an epoch."""
        self._fits.add(fit)
        self.io.checkpoints.save(fit, LastEpoch(state=base64.b64encode(state).decode()))

    def advance(self, note: str) -> None:
        """Count one epoch as progress."""
        self.io.steps.progress.advance(note)

    def forget(self) -> None:
        """Empty the checkpoints of fits whose block is saved."""
        while self._fits:
            self.io.checkpoints.save(self._fits.pop(), LastEpoch(state=""))


def _plan_deep_models(io: StageIO, models: Sequence[ModelName], config: ModelsConfig) -> int:
    """Epochs of a deep fit, 0 without deep models. Device, size and epochs on this machine go into the metrics."""
    if not set(models) & set(DEEP_MODELS):
        return 0
    from foundry_tasks.models.deep.training import plan_for  # noqa: PLC0415 - loads TensorFlow

    plan = plan_for(config)
    headline = DeepHeadline(device=plan.device, size=plan.size, epochs=plan.epochs)
    io.outputs.metrics["deep"] = headline.model_dump(mode="json")
    if config.deep_size is None and not plan.on_gpu:
        io.warn(
            f"no GPU here: deep models are trained on the CPU at size {plan.size}. deep_size=full asks for the size that a "
            "GPU trains"
        )
    return plan.epochs


def _name(job: tuple[ModelName, int], walk: Walk) -> str:
    """The name of a job, such as `lightgbm-fold3`."""
    model, block = job
    return f"{model}-{next(iter(walk.values()))[block].name}"


def _publish(io: StageIO, fits: Sequence[Fit], grid: Matrices, config: ModelsConfig) -> FittedBlock:
    """Publish the fits of a job. Returns the note of its checkpoint."""
    warnings, importance = [], dict[int, ModelImportance]()
    for fit in fits:
        name = f"{fit.horizon}d/{fit.name}"
        if config.per_regime and not fit.per_regime:
            warnings.append(
                f"{fit.name} {fit.horizon}d {fit.fold.name}: fewer than {MIN_REGIME_SESSIONS} sessions in a regime, so it "
                "is fitted on all sessions"
            )
        _publish_scores(io, f"{name}/{fit.fold.name}", fit, grid)
        if fit.last is not None and fit.importance is not None:
            io.publish_file(f"fit/{name}.json", fit.last.to_bytes())
            importance[fit.horizon] = fit.importance
        io.steps.progress.advance(f"{fit.name} {fit.horizon}d {fit.fold.name}")
    return FittedBlock(warnings=tuple(warnings), importance=importance)


def _publish_scores(io: StageIO, name: str, fit: Fit, grid: Matrices) -> None:
    """Publish scores of validation and test as one matrix; the purge between them is NaN."""
    fold, scores = fit.fold, fit.scores.copy()
    start, stop = (fold.validation or fold.test).start, fold.test.stop
    if fold.validation is not None:
        scores[fold.validation.stop - start : fold.test.start - start] = np.nan
    path = io.outputs.workspace / f"{name.replace('/', '-')}.parquet"
    write_matrices(path, Matrices(grid.sessions[start:stop], grid.tickers, {"score": scores}))
    io.publish_file(f"scores/{name}.parquet", path)
