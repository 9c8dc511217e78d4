"""leakage: the audit on this run's data. A leak refuses the model and does not stop the run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foundry_tasks.audit import leakage
from foundry_tasks.contract.config import (
    DEEP_MODELS,
    DeepTask,
    LabelEntry,
    LabelKind,
    LeakageConfig,
    ModelName,
    ModelsConfig,
)
from foundry_tasks.contract.documents import Fold, Leakage
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import DateArray, FeaturePanel, FloatArray, PricePanel
from foundry_tasks.data.tables import FeatureFile, read_matrices, read_prices
from foundry_tasks.data.temporary_matrices import TemporaryMatrices
from foundry_tasks.features import FEATURES
from foundry_tasks.features.build import feature_blocks, features_for
from foundry_tasks.features.labels import label_span
from foundry_tasks.inputs.label_file import TargetFile
from foundry_tasks.inputs.run_inputs import RunInputs
from foundry_tasks.models.base_models import by_transform, estimator_for, load_libraries, target_of
from foundry_tasks.models.design import Design, Transform, build_design
from foundry_tasks.models.fit_pool import FitPool
from foundry_tasks.models.training import FitWindow, WindowTrainer

POISONED_SESSIONS = 64
"""Sessions after the scored one that a refit can read: unchanged in one refit, noise in the other."""
AUDITED_LABELS: tuple[LabelKind | DeepTask, ...] = ("up", "volatility")
"""`up` is made of two prices, as are all other labels; `volatility` is made of every price between."""


def run(config: LeakageConfig, io: StageIO) -> None:
    """prices, features, labels, models → leakage.json: the leaks, and the checks that were made."""
    rng = draws_of(io)
    with io.step("read"):
        prices = read_prices(io.path("prices", "prices.parquet"))
        published = FeatureFile(io.path("features", "features.parquet"))
    inputs = RunInputs(io.inputs)
    recipe = inputs.fitted_config(config.threads)
    entry, folds = inputs.labels_config.label_entry, inputs.folds
    feature_set = inputs.features_config.feature_set
    targets = TargetFile(io.path("labels", "labels.parquet"))
    labels: dict[int, dict[str, FloatArray]]
    labels = {h: {name: targets.wide(h, name) for name in AUDITED_LABELS} for h in folds}

    def build(panel: PricePanel) -> Iterator[FeaturePanel]:
        return feature_blocks(panel, features_for(panel, feature_set)[0], TemporaryMatrices, threads=config.threads)

    leaks: list[str] = []
    checked: list[str] = []
    dates = sorted(
        rng.choice(np.arange(len(prices.sessions) // 2, len(prices.sessions) - 1), config.audit_dates, False)
    )
    io.steps.progress.start("leakage", len(dates) + 2 + len(recipe.models))
    for at in map(int, dates):
        day = prices.sessions[at]
        with io.step("features"):
            leaks += leakage.audit_features(prices, published, build, at=at, rng=rng)
            leaks += leakage.audit_labels(prices, labels, entry, at=at, rng=rng)
        checked.append(f"features and labels with prices after {day} cut, poisoned with NaN and with noise")
        io.steps.progress.advance(str(day))
    with io.step("rescaling"):
        sensitive = [feature.name for feature in FEATURES if feature.rescaling_sensitive]
        leaks += leakage.audit_rescaling(prices, published, build, sensitive=sensitive)
    checked.append(f"features with one ticker's history halved; free to change: {', '.join(sensitive)}")
    io.steps.progress.advance("rescaling")
    for horizon, walk in folds.items():
        leaks += leakage.audit_folds(walk, label_span=label_span(horizon, entry), lookback=recipe.lookback_sessions)
    checked.append(f"windows and purges of {sum(map(len, folds.values()))} folds")
    io.steps.progress.advance("folds")
    with io.step("refit"):
        for name, found in _refits(io, _Published(recipe, folds, published, targets, entry), rng):
            leaks += found
            checked.append(f"{name} of the first fold refitted with everything after its fit window poisoned")
            io.steps.progress.advance(name)
    io.publish(Leakage(leaks=tuple(leaks), checked=tuple(checked)))
    io.outputs.metrics |= {"leaks": len(leaks), "checks": len(checked)}
    for leak in leaks:
        io.warn(f"leak: {leak}")


def draws_of(io: StageIO, part: str = "") -> np.random.Generator:
    """Random numbers of a part of the audit. They follow from the audited files alone: no conf, shard or retry changes them.

    part: a name; parts with different names are independent.
    """
    audited = {
        f"{name}={artifact.sha256}"
        for stage in ("prices", "features", "labels", "models")
        for result in io.inputs.shards(stage)
        for name, artifact in result.outputs.items()
        if name.endswith(".parquet")
    }
    digest = sha256("\n".join([part, *sorted(audited)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


@dataclass(frozen=True)
class FeaturesUntil:
    """The first `stop` sessions of a run's features. `poison`, (n_features, n, n_tickers), replaces the last n of them."""

    features: FeatureFile
    stop: int
    poison: npt.NDArray[np.float32]

    @property
    def sessions(self) -> DateArray:
        """(stop,), ascending."""
        return self.features.sessions[: self.stop]

    @property
    def tickers(self) -> tuple[str, ...]:
        """The tickers of the run."""
        return self.features.tickers

    @property
    def names(self) -> tuple[str, ...]:
        """The features of the run."""
        return self.features.names

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        matrix: npt.NDArray[np.float32] = self.block([name], slice(0, self.stop))[0]
        return matrix

    def block(self, names: Sequence[str], sessions: slice) -> npt.NDArray[np.float32]:
        """As in `FeatureSource`. It returns a copy, so that the run's features are not poisoned."""
        values = self.features.block(names, sessions).copy()
        poisoned = self.stop - self.poison.shape[1]
        first = max(sessions.start, poisoned)
        if first < sessions.stop:
            places = [self.names.index(name) for name in names]
            values[:, first - sessions.start :] = self.poison[places, first - poisoned : sessions.stop - poisoned]
        return values


@dataclass(frozen=True)
class _Published:
    """The recipe, folds, features and labels that the audited run has published."""

    recipe: ModelsConfig
    folds: Mapping[int, tuple[Fold, ...]]
    features: FeatureFile
    targets: TargetFile
    entry: LabelEntry

    @property
    def first(self) -> tuple[int, Fold]:
        """The first horizon and its earliest block."""
        horizon = next(iter(self.folds))
        return horizon, self.folds[horizon][0]

    def window(self, horizon: int) -> FitWindow:
        """The fit window of a horizon's earliest block."""
        fit = self.folds[horizon][0].fit
        return FitWindow(fit.start, fit.stop, label_span(horizon, self.entry) + self.recipe.gap_sessions)


def _refits(io: StageIO, run: _Published, rng: np.random.Generator) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Base model → leaks of its earliest block at the first horizon: published scores against a refit with poison.

    Poison: features of sessions after the scored one and labels after the fit window are noise. The first test session
    is scored alone, as one batch. A model whose scores differ is also refitted without poison, which shows whether the
    published scores or the refit is at fault.
    """
    recipe, features = run.recipe, run.features
    horizon, fold = run.first
    at = fold.test.start
    files = _score_files(io, horizon, fold)
    stop = min(at + POISONED_SESSIONS, len(features.sessions))
    noise = rng.normal(0, 10, size=(len(features.names), stop - at - 1, len(features.tickers))).astype(np.float32)
    clean, spoilt = (FeaturesUntil(features, stop, poison) for poison in (noise[:, :0], noise))
    labels = {name: target_of(name, horizon, recipe, run.targets.wide) for name in recipe.models}
    randomised_labels = {name: leakage.randomised_labels(known, fold.fit.stop, rng) for name, known in labels.items()}
    load_libraries(recipe.models)
    with FitPool(recipe.threads) as pool:
        refit = _Refit(run, pool)
        for transform, names in by_transform(recipe.models):
            published = {
                name: read_matrices(files[name])["score"][at - (fold.validation or fold.test).start] for name in names
            }
            among_poison = refit.scores(spoilt, randomised_labels, transform, names)
            differ = [name for name in names if not leakage.same_scores(published[name], among_poison[name])]
            again = refit.scores(clean, labels, transform, differ) if differ else {}
            found = {
                name: leakage.audit_scores(name, published[name], again[name], among_poison[name]) for name in again
            }
            for name in names:
                yield name, found.get(name, ())


def _score_files(io: StageIO, horizon: int, fold: Fold) -> dict[str, Path]:
    """Base model → its published scores of a fold."""
    return {
        name.split("/")[2]: io.inputs.artifact(result, name)
        for result in io.inputs.shards("models")
        for name in result.outputs
        if name.startswith(f"scores/{horizon}d/") and name.endswith(f"/{fold.name}.parquet")
    }


@dataclass(frozen=True)
class _Refit:
    """Base models of the first horizon's earliest block, fitted again; each scores the first test session."""

    run: _Published
    pool: FitPool

    def scores(
        self,
        source: FeaturesUntil,
        labels: Mapping[ModelName, FloatArray],
        transform: Transform,
        names: Sequence[ModelName],
    ) -> dict[ModelName, FloatArray]:
        """Base model → (n_tickers,) scores."""
        # The design is freed when this returns: on a large market a second one does not fit into memory.
        fit = partial(self._first_test_session, build_design(source, transform), labels)
        return dict(zip(names, self.pool.jobs(fit, names, alone=DEEP_MODELS.__contains__), strict=True))

    def _first_test_session(
        self, design: Design, labels: Mapping[ModelName, FloatArray], name: ModelName
    ) -> FloatArray:
        run, (horizon, fold) = self.run, self.run.first
        windows = [run.window(h) for h in run.folds]
        trainer = WindowTrainer(estimator_for(name, run.recipe), design, windows, run.recipe, mapper=self.pool.share)
        fitted = trainer.fit(labels[name], run.window(horizon))
        scored: FloatArray = trainer.score(fitted, fold.test.start, fold.test.start + 1)[0]
        return scored
