"""The leakage audit of stack, calibrator and base rate: a fold's P(up) against a stack taught among poison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from foundry_tasks.audit.leakage import audit_scores, randomised_labels, same_scores
from foundry_tasks.contract.config import EnsembleConfig
from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.features.labels import Labels
from foundry_tasks.models.calibration import expanding_base_rate
from foundry_tasks.models.meta_learner import average
from foundry_tasks.models.stack import Stack
from foundry_tasks.walk.stack_walk import StackInputs, stack_of_last


@dataclass(frozen=True)
class PublishedForecast:
    """What the ensemble has published of some sessions: (n, n_tickers) each. score: of the stack, before calibration."""

    p_up: FloatArray
    base_rate: FloatArray
    score: FloatArray


def audit_stack(
    folds: Sequence[Fold],
    inputs: StackInputs,
    config: EnsembleConfig,
    published: PublishedForecast,
    sessions: npt.NDArray[np.intp],
    rng: np.random.Generator,
) -> tuple[str, ...]:
    """Compare published P(up) of the last of `folds` with that of a stack for which the future is poisoned.

    From the end of the fold's fit window on, labels are random, and scores and regime are noise; for the base rate at
    session t, labels are random that end after t. Each session is scored alone. Meta-learners are fitted only if the
    published scores are not the plain average, since only then do they move P(up). sessions: indices of the n compared ones,
    in windows of that fold. Returns findings, one text per fault.
    """
    fold, name = folds[-1], f"P(up) {inputs.horizon}d {folds[-1].name}"
    alone = [_Session.of(fold, inputs, int(at)) for at in sessions]
    fits_meta = not same_scores(published.score, np.concatenate([average(item.base) for item in alone]))
    rates = [_matured_rate(inputs, int(at), rng) for at in sessions]
    taught = stack_of_last(folds, _with_poison(fold, inputs, rng), config, fits_meta=fits_meta)
    among_poison = _p_up(taught, alone, rates)
    if same_scores(published.p_up, among_poison) and same_scores(published.base_rate, _wide(rates, published.p_up)):
        return ()
    stack = stack_of_last(folds, inputs, config, fits_meta=fits_meta)
    known = expanding_base_rate(inputs.labels.up, inputs.label_span)[sessions].tolist()
    found = list(audit_scores(name, published.p_up, _p_up(stack, alone, known), among_poison))
    if not same_scores(published.base_rate, _wide(rates, published.p_up)):
        found.append(f"{name}: the base rate is not that of labels that have ended")
    return tuple(found)


@dataclass(frozen=True)
class _Session:
    """Base scores, (1, n_tickers) each, and regime, (1,) each, of one session."""

    base: Mapping[str, FloatArray]
    regime: Mapping[str, FloatArray]

    @classmethod
    def of(cls, fold: Fold, inputs: StackInputs, at: int) -> "_Session":
        return cls(
            inputs.scores(fold, Window(at, at + 1)),
            {name: series[at : at + 1] for name, series in inputs.regime.items()},
        )


def _p_up(stack: Stack, alone: Sequence[_Session], rates: Sequence[float]) -> FloatArray:
    """(n, n_tickers)."""
    return np.concatenate(
        [stack.p_up(item.base, item.regime, np.array([rate])) for item, rate in zip(alone, rates, strict=True)]
    )


def _wide(rates: Sequence[float], like: FloatArray) -> FloatArray:
    return np.broadcast_to(np.array(rates)[:, None], like.shape)


def _matured_rate(inputs: StackInputs, at: int, rng: np.random.Generator) -> float:
    """The base rate at session index `at`, with random labels where their span ends later."""
    up = randomised_labels(inputs.labels.up, max(0, at + 1 - inputs.label_span), rng)
    return float(expanding_base_rate(up, inputs.label_span)[at])


def _with_poison(fold: Fold, inputs: StackInputs, rng: np.random.Generator) -> StackInputs:
    """Inputs in which labels are random, and scores and regime noise, from the end of the fold's fit window on."""
    start = fold.fit.stop

    def scores(of: Fold, window: Window) -> Mapping[str, FloatArray]:
        spared = 0 if of == fold else max(0, start - window.start)
        return {name: _noise_from(values, spared, rng) for name, values in inputs.scores(of, window).items()}

    labels = Labels(*(randomised_labels(values, start, rng) for values in vars(inputs.labels).values()))
    regime = {name: _noise_from(series, start, rng) for name, series in inputs.regime.items()}
    return replace(inputs, scores=scores, regime=regime, labels=labels)


def _noise_from(values: FloatArray, start: int, rng: np.random.Generator) -> FloatArray:
    """A copy with noise from row `start` on."""
    changed = values.copy()
    changed[start:] = rng.standard_normal(changed[start:].shape)
    return changed
