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
from foundry_tasks.walk.stack_walk import StackInputs, taught_by_past


@dataclass(frozen=True)
class PublishedForecast:
    """What the ensemble has published of some sessions: (n, n_tickers) each. score: of the stack, before calibration."""

    p_up: FloatArray
    base_rate: FloatArray
    score: FloatArray


@dataclass(frozen=True)
class StackAudit:
    """Findings, one text per fault, and a sentence per gap."""

    leaks: tuple[str, ...]
    not_audited: tuple[str, ...] = ()


def audit_stack(
    folds: Sequence[Fold],
    inputs: StackInputs,
    config: EnsembleConfig,
    published: PublishedForecast,
    sessions: npt.NDArray[np.intp],
    rng: np.random.Generator,
) -> StackAudit:
    """Compare what is published of the last of `folds` with a stack for which the future is poisoned.

    From the end of the fold's fit window on, labels are random, and scores and regime are noise; for the base rate at
    session t, labels are random that end after t. Each session is scored alone. Meta-learners are fitted only if the
    published scores are not the plain average, since only then do they move P(up). The calibrator is then fitted on scores
    of all earlier ones. If these cost more than half of the fold's own, the scores of that one are compared in place of P(up).
    sessions: indices of the n compared ones, in windows of the last fold.
    """
    fold = folds[-1]
    alone = [_Session.of(fold, inputs, int(at)) for at in sessions]
    uses_meta = not same_scores(published.score, np.concatenate([average(item.base) for item in alone]))
    only_meta = uses_meta and not _replays(folds)
    skipped = len(folds) - 1 if only_meta else (0 if uses_meta else len(folds))

    def forecasts(seen: StackInputs, rates: Sequence[float]) -> FloatArray:
        stack, meta = taught_by_past(folds, seen, config, without_meta=skipped)
        if only_meta and meta is not None:
            return np.concatenate([meta.scores(item.base, item.regime) for item in alone])
        return _p_up(stack, alone, rates)

    rates = [_matured_rate(inputs, int(at), rng) for at in sessions]
    known = expanding_base_rate(inputs.labels.up, inputs.label_span)[sessions].tolist()
    found: list[str] = []
    said, name = (published.score, "meta-learner") if only_meta else (published.p_up, "P(up)")
    name = f"{name} {inputs.horizon}d {fold.name}"
    among_poison = forecasts(_with_poison(fold, inputs, rng), rates)
    if not same_scores(said, among_poison):
        found += audit_scores(name, said, forecasts(inputs, known), among_poison)
    if not same_scores(published.base_rate, np.broadcast_to(np.array(rates)[:, None], published.base_rate.shape)):
        found.append(f"{name}: the base rate is not that of labels that have ended")
    gap = f"calibrator of {fold.name} at {inputs.horizon}d, since its scores are those of meta-learners of many blocks"
    return StackAudit(tuple(found), (gap,) if only_meta else ())


def _replays(folds: Sequence[Fold]) -> bool:
    """Whether the meta-learners of all earlier blocks learn from at most half as many sessions as that of the last."""
    learned = [sum(len(before.test) for before in folds[:place]) for place in range(len(folds))]
    return 2 * sum(learned[:-1]) <= learned[-1]


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
