"""Evidence: out-of-sample forecasts and labels of a model, taken from the walk. The gates read it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.data.panel import BoolArray, FloatArray
from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.collapse import MAX_FLAT_SESSIONS, collapse_of
from foundry_tasks.features.labels import Labels
from foundry_tasks.walk.trading import Trading

Metric = Callable[[FloatArray, FloatArray], FloatArray]
BaseScores = Callable[[Fold, Window], Mapping[str, FloatArray]]
"""fold, window → base model → scores by that fold's models, (len(window), n_tickers)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Out-of-sample forecasts and labels of a model at one horizon.

    p_up, base_rate, up, above_median, forward_return: (n_sessions, n_tickers) on the reported test windows, in the order
    of time; NaN outside the universe and where there is no prediction or no label. base_rate: as known at the session.
    forward_return: decimal. member: same shape, members of the universe, which should have a prediction.
    validation_relative, test_relative, validation_up, test_up: per fold, accuracy by session, against the relative label
    and against up. leaks: findings of the leakage audit, empty if there are none. collapsed: base model → folds in which
    its scores hardly differ between tickers. champion_p_up: the champion's out-of-fold P(up) on the same rows, NaN where
    it has none; None without a champion. champion_note: text on this reference. trading: the forecasts as they can be
    traded; None without prices, and then the gate `tradable` is undefined.
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
    trading: Trading | None = None


@dataclass(frozen=True, slots=True)
class FoldOutput:
    """P(up) of one reported fold and the base rate known at each session.

    p_up, base_rate: (n, n_tickers), from the first session of validation, or of test without a validation window, to the
    last of test.
    """

    fold: Fold
    p_up: FloatArray
    base_rate: FloatArray

    @property
    def start(self) -> int:
        """Index of the session of the first row."""
        return (self.fold.validation or self.fold.test).start

    def rows(self, window: Window) -> slice:
        """Rows of a window of the fold in p_up and base_rate."""
        return slice(window.start - self.start, window.stop - self.start)


def collapsed_folds(folds: Sequence[Fold], scores: BaseScores) -> dict[str, tuple[int, ...]]:
    """Base model → numbers of the reported folds in which it collapsed: its scores are flat in too many test sessions.

    scores: base models' scores by fold and window. A small number of distinct scores in a session is not a collapse: trees
    of a small market produce no more.
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


def among_members(outputs: Sequence[FoldOutput], member: BoolArray) -> list[FoldOutput]:
    """The outputs with NaN where a ticker was no member of the universe. member: (all sessions, n_tickers)."""
    found = []
    for output in outputs:
        here = member[output.start : output.start + len(output.p_up)]
        p_up, base_rate = (np.where(here, values, np.nan) for values in (output.p_up, output.base_rate))
        found.append(replace(output, p_up=p_up, base_rate=base_rate))
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
    """The evidence of the reported folds, in the order of time, of members of the universe alone.

    outputs: one for each reported fold. labels, member: (all sessions, n_tickers). horizon: in sessions. leaks, collapsed:
    as in `Evidence`.
    """
    outputs = among_members(outputs, member)
    tested = slice(outputs[0].fold.test.start, outputs[-1].fold.test.stop)
    judged = member[tested]

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
        up=np.where(judged, labels.up[tested], np.nan),
        above_median=np.where(judged, labels.median[tested], np.nan),
        forward_return=np.where(judged, labels.forward_return[tested], np.nan),
        member=judged,
        validation_relative=by_fold(metrics.session_hit_rate, labels.median, "validation"),
        test_relative=by_fold(metrics.session_hit_rate, labels.median, "test"),
        validation_up=by_fold(metrics.session_accuracy, labels.up, "validation"),
        test_up=by_fold(metrics.session_accuracy, labels.up, "test"),
        leaks=leaks,
        collapsed=collapsed or {},
    )
