"""leakage: the audit, on this run's own data. What it finds refuses the model; it does not stop the run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

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
from foundry_tasks.features import FEATURES
from foundry_tasks.features.build import feature_blocks, features_for
from foundry_tasks.features.labels import label_span
from foundry_tasks.inputs.run_inputs import RunInputs
from foundry_tasks.models.base_models import by_transform, estimator_for, load_libraries, target_of
from foundry_tasks.models.design import Design, Transform, build_design
from foundry_tasks.models.fit_pool import FitPool
from foundry_tasks.models.targets import TargetFile
from foundry_tasks.models.training import FitWindow, WindowTrainer

POISONED_SESSIONS = 64
"""Sessions after the scored one that are laid before a refit, as they are and as noise."""
AUDITED_LABELS: tuple[LabelKind | DeepTask, ...] = ("up", "volatility")
"""One made of two prices, as are all others, and the one that is made of every price between."""


def run(config: LeakageConfig, io: StageIO) -> None:
    """prices, features, labels, models → leakage.json: what leaks, and what was looked at."""
    rng = np.random.default_rng(config.seed)
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
        return feature_blocks(panel, features_for(panel, feature_set)[0], threads=config.threads)

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
        for name, found in _refits(io, recipe, folds, published, targets, entry, rng):
            leaks += found
            checked.append(f"{name} of the first fold refitted with everything after its fit window poisoned")
            io.steps.progress.advance(name)
    io.publish(Leakage(leaks=tuple(leaks), checked=tuple(checked)))
    io.outputs.metrics |= {"leaks": len(leaks), "checks": len(checked)}
    for leak in leaks:
        io.warn(f"leak: {leak}")


def _refits(
    io: StageIO,
    recipe: ModelsConfig,
    folds: Mapping[int, tuple[Fold, ...]],
    features: FeatureFile,
    targets: TargetFile,
    entry: LabelEntry,
    rng: np.random.Generator,
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Base model → leaks of its earliest block of the first horizon: published scores beside a refit among poison.

    Poison: features of sessions after the scored one and labels after the fit window are noise. The first test session
    is scored alone, as one batch. Only a model whose scores differ is refitted without poison too, which tells whether
    the published scores or the refit are at fault.
    """
    horizon = next(iter(folds))
    fold = folds[horizon][0]
    at, span = fold.test.start, label_span(horizon, entry)
    files = {
        name.split("/")[2]: io.inputs.artifact(result, name)
        for result in io.inputs.shards("models")
        for name in result.outputs
        if name.startswith(f"scores/{horizon}d/") and name.endswith(f"/{fold.name}.parquet")
    }
    windows = [
        FitWindow(walk[0].fit.start, walk[0].fit.stop, label_span(h, entry) + recipe.gap_sessions)
        for h, walk in folds.items()
    ]
    window = FitWindow(fold.fit.start, fold.fit.stop, span + recipe.gap_sessions)
    stop = min(at + POISONED_SESSIONS, len(features.sessions))
    noise = rng.normal(0, 10, size=(len(features.names), stop - at - 1, len(features.tickers))).astype(np.float32)
    clean, spoilt = (FeaturesUntil(features, stop, poison) for poison in (noise[:, :0], noise))
    labels = {name: target_of(name, horizon, recipe, targets.wide) for name in recipe.models}
    randomised_labels = {name: leakage.randomised_labels(known, fold.fit.stop, rng) for name, known in labels.items()}
    load_libraries(recipe.models)

    def first_test_session(design: Design, learned: Mapping[ModelName, FloatArray], name: ModelName) -> FloatArray:
        trainer = WindowTrainer(estimator_for(name, recipe), design, windows, recipe, mapper=pool.share)
        scored: FloatArray = trainer.score(trainer.fit(learned[name], window), at, at + 1)[0]
        return scored

    def refit(
        source: FeaturesUntil, learned: Mapping[ModelName, FloatArray], transform: Transform, names: Sequence[ModelName]
    ) -> dict[ModelName, FloatArray]:
        # The design is gone when this returns: on a large market memory holds no second one.
        fit = partial(first_test_session, build_design(source, transform), learned)
        return dict(zip(names, pool.jobs(fit, names, alone=DEEP_MODELS.__contains__), strict=True))

    with FitPool(recipe.threads) as pool:
        for transform, names in by_transform(recipe.models):
            published = {
                name: read_matrices(files[name])["score"][at - (fold.validation or fold.test).start] for name in names
            }
            among_poison = refit(spoilt, randomised_labels, transform, names)
            differ = [name for name in names if not leakage.same_scores(published[name], among_poison[name])]
            again = refit(clean, labels, transform, differ) if differ else {}
            found = {
                name: leakage.audit_scores(name, published[name], again[name], among_poison[name]) for name in again
            }
            for name in names:
                yield name, found.get(name, ())


@dataclass(frozen=True)
class FeaturesUntil:
    """The first `stop` sessions of a run's features, the last of them replaced by `poison`, (n_features, n, n_tickers)."""

    features: FeatureFile
    stop: int
    poison: npt.NDArray[np.float32]

    @property
    def sessions(self) -> DateArray:
        """(stop,), ascending."""
        return self.features.sessions[: self.stop]

    @property
    def tickers(self) -> tuple[str, ...]:
        """Those of the whole run."""
        return self.features.tickers

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the whole run."""
        return self.features.names

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        matrix: npt.NDArray[np.float32] = self.block([name], slice(0, self.stop))[0]
        return matrix

    def block(self, names: Sequence[str], sessions: slice) -> npt.NDArray[np.float32]:
        """As `FeatureSource` has it; a copy, so the features themselves stay unpoisoned."""
        values = self.features.block(names, sessions).copy()
        poisoned = self.stop - self.poison.shape[1]
        first = max(sessions.start, poisoned)
        if first < sessions.stop:
            places = [self.names.index(name) for name in names]
            values[:, first - sessions.start :] = self.poison[places, first - poisoned : sessions.stop - poisoned]
        return values
