"""Base models are fitted again for the leakage audit, on a design whose later rows are poisoned.

A refit costs as much as the fit that it checks, so a plan draws the horizon and the reported fold. Models that take little
time are refitted in every reported fold. The others are refitted in the drawn one, or in the earliest block where the fit
window of the drawn one is much longer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from foundry_tasks.audit.leakage import audit_scores, randomised_labels, same_scores
from foundry_tasks.contract.config import DEEP_MODELS, ModelName, ModelsConfig
from foundry_tasks.contract.documents import Fold
from foundry_tasks.data.panel import DateArray, FeaturePanel, FeatureSource, FloatArray
from foundry_tasks.models.base_models import (
    BASE_MODELS,
    LabelSource,
    by_transform,
    estimator_for,
    load_libraries,
    score_panel,
    target_of,
)
from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.design import Design, Transform, build_design
from foundry_tasks.models.estimator import FittedModel
from foundry_tasks.models.fit_pool import FitPool
from foundry_tasks.models.training import WindowTrainer
from foundry_tasks.walk.block_fits import Walk, fit_window

POISONED_SESSIONS = 64
"""Sessions after the latest fit window that a refit can read: noise in a poisoned refit."""
LONGEST = 1.5
"""Length of a drawn fold's fit window, divided by that of the earliest block, up to which slow models are refitted there."""
NOISE = 10.0
"""Standard deviation of the poison, far above that of most inputs."""
_RANDOM_SESSIONS = 2

PublishedScores = Callable[[int, ModelName, Fold, npt.NDArray[np.intp]], FloatArray]
"""horizon, model, fold, indices of sessions → the published scores of these sessions, (n, n_tickers)."""


@dataclass(frozen=True)
class Refit:
    """A base model in a block of the drawn horizon. block: its index in the walk."""

    name: ModelName
    block: int


@dataclass(frozen=True)
class Plan:
    """What is refitted. horizon, block: drawn; the block is a reported fold. not_audited: a sentence per gap."""

    horizon: int
    block: int
    refits: tuple[Refit, ...]
    not_audited: tuple[str, ...]


def draw_plan(walk: Walk, models: Sequence[ModelName], rng: np.random.Generator) -> Plan:
    """Draw a horizon and a reported fold, and choose the blocks in which each model is refitted.

    If every model is slow, one booster is refitted in the drawn fold, however long its window is.
    """
    horizon = int(rng.choice(sorted(walk)))
    folds = walk[horizon]
    reported = [block for block, fold in enumerate(folds) if fold.reported]
    block = int(rng.choice(reported))
    fast = [name for name in models if not BASE_MODELS[name].seeded]
    is_long = len(folds[block].fit) > LONGEST * len(folds[0].fit)
    slow = dict.fromkeys((name for name in models if name not in fast), 0 if is_long else block)
    boosters = [name for name in slow if name not in DEEP_MODELS]
    if boosters and not fast:
        slow[boosters[rng.integers(len(boosters))]] = block
    refits = [Refit(name, place) for name in fast for place in reported]
    refits += [Refit(name, place) for name, place in slow.items()]
    return Plan(horizon, block, tuple(refits), tuple(_gaps(walk, horizon, block, slow)))


def _gaps(walk: Walk, horizon: int, block: int, slow: Mapping[ModelName, int]) -> Iterator[str]:
    if others := [f"{other}d" for other in sorted(walk) if other != horizon]:
        yield f"base models, stack and calibrator at {', '.join(others)}: {horizon}d was drawn"
    folds = walk[horizon]
    for place in sorted(set(slow.values())):
        names = ", ".join(name for name, at in slow.items() if at == place)
        why = "" if place == block else ", whose fit window is the shortest"
        yield f"{names} at {horizon}d in blocks other than {folds[place].name}{why}"
    yield f"stack and calibrator at {horizon}d in folds other than {folds[block].name}"


def compared_sessions(fold: Fold, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Sessions whose forecasts are compared: first, last and two random ones of validation and of test, ascending."""
    chosen = [
        at
        for window in (fold.validation, fold.test)
        if window
        for at in (window.start, window.stop - 1, *rng.integers(window.start, window.stop, _RANDOM_SESSIONS))
    ]
    return np.unique(np.array(chosen, dtype=np.intp))


@dataclass(frozen=True)
class Refitter:
    """Fits base models of a run again.

    label_spans: horizon → sessions that a label looks ahead. published: the scores of the run.
    """

    config: ModelsConfig
    walk: Walk
    label_spans: Mapping[int, int]
    features: FeatureSource
    labels: LabelSource
    published: PublishedScores

    def audit(self, plan: Plan, rng: np.random.Generator) -> Iterator[tuple[Refit, tuple[str, ...]]]:
        """Refit → its leaks: published scores against those of a fit among poison.

        From the end of the fit windows on, all inputs are noise and all labels random. A session is scored as one panel
        that ends with it. A model whose scores differ is also refitted without poison, which shows whether the published
        scores or the fit is at fault.
        """
        folds = self.walk[plan.horizon]
        sessions = {block: compared_sessions(folds[block], rng) for block in sorted({r.block for r in plan.refits})}
        load_libraries([refit.name for refit in plan.refits])
        with FitPool(self.config.threads) as pool:
            again = _Again(self, plan.horizon, sessions, pool)
            for transform, names in by_transform({refit.name for refit in plan.refits}):
                alike = [refit for refit in plan.refits if refit.name in names]
                published = {
                    refit: self.published(plan.horizon, refit.name, folds[refit.block], sessions[refit.block])
                    for refit in alike
                }
                poisoned = again.scores(transform, alike, rng)
                differ = [refit for refit in alike if not same_scores(published[refit], poisoned[refit])]
                clean = again.scores(transform, differ, None) if differ else {}
                for refit in alike:
                    name = f"{refit.name} {plan.horizon}d {folds[refit.block].name}"
                    yield (
                        refit,
                        audit_scores(name, published[refit], clean[refit], poisoned[refit]) if refit in clean else (),
                    )


@dataclass(frozen=True)
class _Again:
    """Refits at one horizon. sessions: block → indices of the sessions that are scored."""

    run: Refitter
    horizon: int
    sessions: Mapping[int, npt.NDArray[np.intp]]
    pool: FitPool

    def scores(
        self, transform: Transform, refits: Sequence[Refit], poison: np.random.Generator | None
    ) -> dict[Refit, FloatArray]:
        """Refit → (n_sessions, n_tickers) scores. poison: None for fits on clean data."""
        # The design is freed when this returns: on a large market a second one does not fit into memory.
        folds, found = self.run.walk[self.horizon], dict[Refit, FloatArray]()
        blocks = sorted({refit.block for refit in refits}, reverse=True)
        n_sessions = len(self.run.features.sessions)
        seen = self._edge(blocks[0]) + POISONED_SESSIONS if poison else folds[blocks[0]].test.stop
        end = min(seen, n_sessions)
        design = build_design(FirstSessions(self.run.features, end), transform)
        for block in blocks:  # the latest first, since poison is written into the design
            if poison:
                poison_design(design, self._edge(block), end, poison)
                end = self._edge(block)
            here = [refit for refit in refits if refit.block == block]
            models = self.pool.jobs(partial(self._fit, design, poison), here, alone=_is_deep)
            for refit, model in zip(here, models, strict=True):
                found[refit] = self._scored(model, self.sessions[block])
        return found

    def _edge(self, block: int) -> int:
        """End of the fit windows of a block: the horizons share bins and scales, which a shorter one fits on more sessions."""
        return max(folds[block].fit.stop for folds in self.run.walk.values())

    def _fit(self, design: Design, poison: np.random.Generator | None, refit: Refit) -> FittedModel:
        run = self.run
        windows = {
            horizon: fit_window(folds[refit.block], run.label_spans[horizon] + run.config.gap_sessions)
            for horizon, folds in run.walk.items()
        }
        labels = target_of(refit.name, self.horizon, run.config, run.labels)
        if poison:
            labels = randomised_labels(labels, windows[self.horizon].stop, np.random.default_rng(refit.block))
        estimator = estimator_for(refit.name, run.config)
        trainer = WindowTrainer(estimator, design, list(windows.values()), run.config, mapper=self.pool.share)
        return trainer.fit(labels, windows[self.horizon])

    def _scored(self, model: FittedModel, sessions: npt.NDArray[np.intp]) -> FloatArray:
        features = self.run.features
        scores = []
        for at in map(int, sessions):
            seen = slice(max(0, at - model.lookback_sessions), at + 1)
            values = features.block(features.names, seen)
            panel = FeaturePanel(features.sessions[seen], features.tickers, features.names, values)
            scores.append(score_panel(model, panel)[-1])
        return np.stack(scores)


def _is_deep(refit: Refit) -> bool:
    return refit.name in DEEP_MODELS


def poison_design(design: Design, start: int, stop: int, rng: np.random.Generator) -> None:
    """Replace the inputs and the volatility of sessions start … stop − 1 by noise, in place."""
    if isinstance(design.values, Sequences):
        place, values = slice(start, stop), design.values.panel
    else:
        place, values = design.rows(start, stop), design.values
    values[place] = NOISE * rng.standard_normal(values[place].shape, dtype=np.float32)
    design.volatility[start:stop] = NOISE * np.abs(rng.standard_normal(len(design.volatility[start:stop])))


@dataclass(frozen=True)
class FirstSessions:
    """The first `stop` sessions of features, as a `FeatureSource`."""

    features: FeatureSource
    stop: int

    @property
    def sessions(self) -> DateArray:
        """(stop,), ascending."""
        return self.features.sessions[: self.stop]

    @property
    def tickers(self) -> tuple[str, ...]:
        """The tickers of the features."""
        return self.features.tickers

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""
        return self.features.names

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        matrix: npt.NDArray[np.float32] = self.block([name], slice(0, self.stop))[0]
        return matrix

    def block(self, names: Sequence[str], sessions: slice) -> npt.NDArray[np.float32]:
        """As in `FeatureSource`."""
        return self.features.block(names, sessions)
