"""Evidence: what a model did on sessions that it never saw, cut from the walk's forecasts for the gates to read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.data.panel import BoolArray, FloatArray
from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.collapse import MAX_FLAT_SESSIONS, collapse_of
from foundry_tasks.features.labels import Labels

Metric = Callable[[FloatArray, FloatArray], FloatArray]
BaseScores = Callable[[Fold, Window], Mapping[str, FloatArray]]
"""fold, window → base model → (len(window), n_tickers), by that fold's models."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a model did on sessions that it never saw, one horizon.

    p_up, base_rate, up, above_median, forward_return: (n_sessions, n_tickers) on the reported test windows, in the order
    of time; NaN where there is no prediction or no label; base_rate is what was known at that session, forward_return
    decimal. member: who should have a prediction. validation_* / test_*: per fold, accuracy by session. leaks: what the
    leakage audit found, empty if clean. collapsed: base model → folds in which it said the same of every ticker.
    champion_p_up: the champion's P(up) on the same rows where it has not seen them, else None. sessions_since_look: how many of
    these sessions no earlier version was held against a champion on; None where there was no such version.
    """

    horizon: int
    p_up: FloatArray
    base_rate: FloatArray
    up: FloatArray
    above_median: FloatArray
    forward_return: FloatArray
    member: BoolArray
    validation_relative: Sequence[FloatArray]
    test_relative: Sequence[FloatArray]
    validation_up: Sequence[FloatArray]
    test_up: Sequence[FloatArray]
    leaks: tuple[str, ...]
    collapsed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    champion_p_up: FloatArray | None = None
    champion_note: str = "no champion yet"
    sessions_since_look: int | None = None


@dataclass(frozen=True, slots=True)
class FoldOutput:
    """One reported fold's P(up) and the base rate known at the time.

    p_up, base_rate: (n, n_tickers), from the first session of validation, or of test where there is none, to the last of
    test.
    """

    fold: Fold
    p_up: FloatArray
    base_rate: FloatArray

    def rows(self, window: Window) -> slice:
        """Where a window of the fold lies in the matrices."""
        start = (self.fold.validation or self.fold.test).start
        return slice(window.start - start, window.stop - start)


def collapsed_folds(folds: Sequence[Fold], scores: BaseScores) -> dict[str, tuple[int, ...]]:
    """Base model → numbers of the reported folds in whose test it said the same of every ticker in too many sessions.

    A few distinct scores a session are no fault of a base model: a tree of a small market has no more.
    """
    found: dict[str, tuple[int, ...]] = {}
    for fold in folds:
        if fold.reported and len(fold.test):
            for name, values in scores(fold, fold.test).items():
                session, ticker = np.nonzero(np.isfinite(values))
                flat = collapse_of(values[session, ticker], session).flat_sessions > MAX_FLAT_SESSIONS
                here = (fold.number,) if flat else ()
                found[name] = found.get(name, ()) + here
    return found


def gather_evidence(
    outputs: Sequence[FoldOutput],
    labels: Labels,
    member: BoolArray,
    *,
    horizon: int,
    leaks: tuple[str, ...],
    collapsed: Mapping[str, tuple[int, ...]] | None = None,
) -> Evidence:
    """The evidence of the reported folds, in the order of time. labels, member: (all sessions, n_tickers)."""
    tested = slice(outputs[0].fold.test.start, outputs[-1].fold.test.stop)

    def by_fold(figure: Metric, answers: FloatArray, window: str) -> list[FloatArray]:
        windows = [dict(output.fold.windows())[window] for output in outputs]
        return [
            figure(output.p_up[output.rows(window)], answers[window.slice])
            for output, window in zip(outputs, windows, strict=True)
        ]

    return Evidence(
        horizon=horizon,
        p_up=np.concatenate([output.p_up[output.rows(output.fold.test)] for output in outputs]),
        base_rate=np.concatenate([output.base_rate[output.rows(output.fold.test)] for output in outputs]),
        up=labels.up[tested],
        above_median=labels.median[tested],
        forward_return=labels.forward_return[tested],
        member=member[tested],
        validation_relative=by_fold(metrics.session_hit_rate, labels.median, "validation"),
        test_relative=by_fold(metrics.session_hit_rate, labels.median, "test"),
        validation_up=by_fold(metrics.session_accuracy, labels.up, "validation"),
        test_up=by_fold(metrics.session_accuracy, labels.up, "test"),
        leaks=leaks,
        collapsed=collapsed or {},
    )
