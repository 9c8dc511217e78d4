"""Every base model by name, what it learns, how a saved one is read back, and how one scores a whole panel.

To add one: a module in `models.base`.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

import numpy as np

from foundry_tasks.contract.config import DEEP_MODELS, MODEL_NAMES, DeepTask, LabelKind, ModelName, ModelsConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import FeaturePanel, FloatArray
from foundry_tasks.features.labels import MIN_GROUP
from foundry_tasks.models.deep.deep_classifier import DeepClassifier, need_training_backend, tasks_of
from foundry_tasks.models.deep.journal import NO_JOURNAL, FitJournal
from foundry_tasks.models.design import Scores, Transform, build_design
from foundry_tasks.models.estimator import BaseModel, Estimator, FittedModel, SavedModel
from foundry_tasks.models.per_regime import PerRegimeModel, score_rows
from foundry_tasks.models.seed_average import AveragedModel


def _found(name: ModelName) -> BaseModel:
    """Raises ValueError where a file and its estimator have two names."""
    found: BaseModel = import_module(
        f"foundry_tasks.models.base.{'deep.' if name in DEEP_MODELS else ''}{name}"
    ).BASE_MODEL
    if found.estimator.name != name:
        raise ValueError(f"the base model of the file {name}.py is named {found.estimator.name!r}. Give both one name.")
    return found


_FOUND: Mapping[ModelName, BaseModel] = {name: _found(name) for name in MODEL_NAMES}
BASE_MODELS: Mapping[ModelName, Estimator] = {name: found.estimator for name, found in _FOUND.items()}
PACKAGES = tuple(sorted({package for found in _FOUND.values() for package in found.packages}))
"""Distributions that fit or score base models, besides NumPy."""

LabelSource = Callable[[int, LabelKind | DeepTask], FloatArray]
"""horizon, which label → (n_sessions, n_tickers), NaN where there is none."""

_READERS: Mapping[str, Callable[[SavedModel], FittedModel]] = {
    **{name: found.read for name, found in _FOUND.items()},
    AveragedModel.kind: lambda saved: AveragedModel.from_dict(saved, _read),
    PerRegimeModel.kind: lambda saved: PerRegimeModel.from_dict(saved, _read),
}


def by_transform(names: Iterable[ModelName]) -> Iterator[tuple[Transform, tuple[ModelName, ...]]]:
    """Models that learn from rows of one kind, together; boosters before others, deep ones at the end."""
    kinds: tuple[Transform, ...] = ("raw", "rank", "sequence")
    names = sorted(names, key=lambda name: not BASE_MODELS[name].seeded)
    for transform in kinds:
        if alike := tuple(name for name in names if BASE_MODELS[name].transform == transform):
            yield transform, alike


def estimator_for(name: ModelName, config: ModelsConfig, journal: FitJournal = NO_JOURNAL) -> Estimator:
    """A base model as this config trains it. journal: where a deep one keeps how far it has come."""
    estimator = BASE_MODELS[name]
    return replace(estimator, config=config, journal=journal) if isinstance(estimator, DeepClassifier) else estimator


def target_of(name: ModelName, horizon: int, config: ModelsConfig, labels: LabelSource) -> FloatArray:
    """What a base model learns: (n_sessions, n_tickers), 0 or 1; of several tasks (n_sessions, n_tickers, n_tasks).

    The tasks are those of `tasks_of`, the sign first. Too few tickers have no median, and learn up or down. Raises
    ConfigError where they were to learn the size of their moves, which is relative to a session's.
    """
    sign = labels(horizon, config.label_kind or BASE_MODELS[name].label_kind)
    other_tasks, n_tickers = tasks_of(name, config)[1:], sign.shape[1]
    if other_tasks and n_tickers < MIN_GROUP:
        raise ConfigError(
            f"deep_tasks={list(config.deep_tasks)} compare the tickers of a session, at least {MIN_GROUP}, and there are "
            f"{n_tickers}. Set deep_tasks=sign."
        )
    if n_tickers < MIN_GROUP:
        return labels(horizon, "up")
    return np.stack([sign, *(labels(horizon, task) for task in other_tasks)], axis=-1) if other_tasks else sign


def load_libraries(names: Iterable[ModelName]) -> None:
    """Import what these models are made of now, and not in the threads that fit them, where nobody counts start-up.

    Raises ConfigError where one of them cannot be trained here.
    """
    for name in names:
        if name in DEEP_MODELS:
            need_training_backend()
        with _without_sklearn():
            import_module(BASE_MODELS[name].library)


@contextmanager
def _without_sklearn() -> Iterator[None]:
    """The boosters import scikit-learn for estimators that nobody here uses, a second of every stage; both do without it.

    In a stage's process alone: who loads a bundle elsewhere may want those estimators.
    """
    if "sklearn" in sys.modules:
        yield
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment] # which is how Python is told that there is no such module
    try:
        yield
    finally:
        del sys.modules["sklearn"]


def load_model(data: bytes) -> FittedModel:
    """What `to_bytes` wrote. Runs no code of the data's; raises ValueError for a kind that it does not know."""
    return _read(json.loads(data))


def _read(saved: SavedModel) -> FittedModel:
    if saved.get("kind") not in _READERS:
        raise ValueError(f"a saved model is one of {', '.join(_READERS)}, got {saved.get('kind')!r}")
    return _READERS[saved["kind"]](saved)


def score_panel(model: FittedModel, features: FeaturePanel, *, threads: int = 1) -> Scores:
    """(n_sessions, n_tickers): the model's scores of a panel, NaN where a ticker-session has too few inputs."""
    design = build_design(features, model.transform, model.names)
    return design.to_wide(score_rows(model, design, threads=threads))
