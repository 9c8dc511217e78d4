"""Fit base models to the blocks of a walk. Their out-of-fold scores are the input of stacking, calibration and gates."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from foundry_tasks.contract.config import DEEP_MODELS, ModelName, ModelsConfig
from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.contract.documents.models import ModelImportance
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.features.labels import Labels
from foundry_tasks.models.base_models import BASE_MODELS, LabelSource, estimator_for, load_libraries, target_of
from foundry_tasks.models.deep.journal import NO_JOURNAL, FitJournal
from foundry_tasks.models.design import Design, Designs, Scores
from foundry_tasks.models.estimator import FittedModel, sign_of
from foundry_tasks.models.fit_pool import FitPool
from foundry_tasks.models.importance import LabelledRows, permutation_importance
from foundry_tasks.models.per_regime import PerRegimeModel
from foundry_tasks.models.seed_average import AveragedModel
from foundry_tasks.models.training import FitWindow, WindowTrainer

TOP_INPUTS = 12
"""Number of inputs, the largest by gain, whose permutation importance is measured."""

Walk = Mapping[int, tuple[Fold, ...]]
"""Horizon → its blocks, in the order of time."""


@dataclass(frozen=True)
class Fit:
    """The fit of a base model at one horizon in one block.

    scores: (n, n_tickers), from the first session of validation, or of test without a validation window, to the last of
    test. per_regime: whether each regime has a model. last, importance: the model and the importance of its inputs; None
    except for the last fold.
    """

    name: ModelName
    horizon: int
    fold: Fold
    scores: Scores
    per_regime: bool
    last: FittedModel | None
    importance: ModelImportance | None


@dataclass(frozen=True)
class BlockFitter:
    """Fits base models to blocks of the walk. The horizons of a block have the same bins.

    label_spans: horizon → sessions that a label looks ahead. step: opens a named timing step. journal: saves the states of
    deep fits.
    """

    config: ModelsConfig
    horizons: tuple[int, ...]
    walk: Walk
    label_spans: Mapping[int, int]
    designs: Designs
    labels: LabelSource
    step: Callable[[str], AbstractContextManager[None]]
    journal: FitJournal = NO_JOURNAL

    def load(self, names: Sequence[ModelName]) -> None:
        """Import the libraries and make designs and targets of the models, before threads need them at the same time."""
        load_libraries(names)
        for name in names:
            self.designs[BASE_MODELS[name].transform]
            for horizon in self.horizons:
                self._target(name, horizon)

    def fit(self, pool: FitPool, job: tuple[ModelName, int]) -> list[Fit]:
        """Fit a model in a block, for each horizon. job: model and index of the block. The seeds are shared among threads.

        Raises ConfigError if a window is too short, DegenerateTargetError if a target has fewer than two classes.
        """
        (name, block), config = job, self.config
        threads = config.threads if fitted_alone(job) else 1
        estimator = estimator_for(name, config, self.journal)
        design = self.designs[estimator.transform]
        folds = {h: walk[block] for h, walk in self.walk.items()}
        windows = {h: fit_window(fold, self.label_spans[h] + config.gap_sessions) for h, fold in folds.items()}
        with self.step(f"fit_{name}"):
            trainer = WindowTrainer(estimator, design, list(windows.values()), config, mapper=pool.share)
        fits = []
        for horizon in self.horizons:
            fold, target = folds[horizon], self._target(name, horizon)
            with self.step(f"fit_{name}"):
                model = trainer.fit(target, windows[horizon])
            with self.step(f"score_{name}"):
                scores = trainer.score(model, (fold.validation or fold.test).start, fold.test.stop, threads=threads)
            last, importance = None, None
            if fold is self.walk[horizon][-1]:
                with self.step("importance"):
                    last, importance = model, _importance(model, design, target, fold, config, threads)
            per_regime = isinstance(model, PerRegimeModel)
            fits.append(Fit(name, horizon, fold, scores, per_regime, last, importance))
        return fits

    def _target(self, name: ModelName, horizon: int) -> FloatArray:
        return target_of(name, horizon, self.config, self.labels)


@dataclass(frozen=True)
class FittedWalk:
    """The fitted blocks of one horizon.

    scores: fold → model → (n, n_tickers), from validation to test. last: name → model of the last fold.
    """

    scores: Mapping[Fold, Mapping[str, Scores]]
    last: Mapping[str, FittedModel]

    def of(self, fold: Fold, window: Window) -> Mapping[str, Scores]:
        """Model → scores by the models of `fold`, (len(window), n_tickers). The walk of the stack reads them."""
        start = (fold.validation or fold.test).start
        return {name: values[window.start - start : window.stop - start] for name, values in self.scores[fold].items()}


def fit_walk(
    designs: Designs, labels: Labels, config: ModelsConfig, walk: Walk, label_spans: Mapping[int, int], horizon: int
) -> FittedWalk:
    """Fit every block of `horizon` in memory.

    walk, label_spans: of every horizon that has the same bins. label_spans: horizon → sessions that a label looks ahead.
    """
    panels = vars(labels)
    fitter = BlockFitter(
        config, (horizon,), walk, label_spans, designs, lambda _, kind: panels[kind], lambda _: nullcontext()
    )
    fitter.load(config.models)
    scores: dict[Fold, dict[str, Scores]] = {fold: {} for fold in walk[horizon]}
    last: dict[str, FittedModel] = {}
    with FitPool(config.threads) as pool:
        for name in config.models:
            for block in range(len(walk[horizon])):
                (fit,) = fitter.fit(pool, (name, block))
                scores[fit.fold][name] = fit.scores
                if fit.last is not None:
                    last[name] = fit.last
    return FittedWalk(scores, last)


def fit_window(fold: Fold, purge: int) -> FitWindow:
    """The fit window of a fold, for a WindowTrainer. purge: in sessions."""
    return FitWindow(fold.fit.start, fold.fit.stop, purge)


def fitted_alone(job: tuple[ModelName, int]) -> bool:
    """Whether a job runs without others in parallel: true for deep models, because TensorFlow has its own threads."""
    return job[0] in DEEP_MODELS


def _importance(
    model: AveragedModel | PerRegimeModel,
    design: Design,
    target: FloatArray,
    fold: Fold,
    config: ModelsConfig,
    threads: int,
) -> ModelImportance:
    """Gain, and permutation importance on the fold's validation window, or on its test window if it has none."""
    window = fold.validation or fold.test
    rows = design.rows(window.start, window.stop)
    labelled = LabelledRows(design.values[rows], sign_of(design.from_wide(target, rows)), design.session[rows])
    permutation = permutation_importance(model, labelled, top=TOP_INPUTS, seed=config.seed, threads=threads)
    gain = sorted(model.gain().items(), key=lambda item: -item[1])[: 2 * TOP_INPUTS]
    return ModelImportance(gain=dict(gain), permutation=permutation)
