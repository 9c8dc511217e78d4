"""Walk-forward efficiency: how much of the edge seen in validation is left in the test. Pardo (2008).

WFE = Σ test edge / Σ validation edge over the folds, edge = directional accuracy − 0.5. A ratio of sums, since a mean of
ratios explodes near 0.5; undefined where the summed validation edge is not above MIN_EDGE.
"""

from collections.abc import Sequence

import numpy as np

from foundry_tasks.data.panel import FloatArray
from foundry_tasks.validation.bootstrap import Interval, block_length, resampled_means

MIN_EDGE = 0.001


def walk_forward_efficiency(validation_accuracy: Sequence[float], test_accuracy: Sequence[float]) -> float:
    """WFE of the folds' mean accuracies, as a ratio (1 = all of it is left); NaN where undefined."""
    validation_edge = float(np.sum(np.asarray(validation_accuracy) - 0.5))
    test_edge = float(np.sum(np.asarray(test_accuracy) - 0.5))
    if not validation_edge > MIN_EDGE or not np.isfinite(test_edge):
        return float("nan")
    return test_edge / validation_edge


def wfe_interval(
    validation: Sequence[FloatArray],
    test: Sequence[FloatArray],
    *,
    horizon: int,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """WFE with its percentile interval, sessions of every window resampled in blocks.

    validation, test: per fold, accuracy by session (n_sessions,), NaN where a session has none. Resamples whose
    validation edge is not above MIN_EDGE count as ±∞ by the sign of their test edge, so that an interval that
    reaches into the undefined says so by an infinite bound.
    """
    kept_validation = [series[np.isfinite(series)] for series in validation]
    kept_test = [series[np.isfinite(series)] for series in test]
    if any(len(series) == 0 for series in (*kept_validation, *kept_test)):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    value = walk_forward_efficiency([s.mean() for s in kept_validation], [s.mean() for s in kept_test])
    rng = np.random.default_rng(seed)
    block = block_length(horizon)

    def edges(windows: list[FloatArray]) -> FloatArray:
        total: FloatArray = np.sum(
            [resampled_means(series - 0.5, block=block, resamples=resamples, rng=rng) for series in windows], axis=0
        )
        return total

    validation_edge, test_edge = edges(kept_validation), edges(kept_test)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(validation_edge > MIN_EDGE, test_edge / validation_edge, np.copysign(np.inf, test_edge))
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(ratios, [tail, 1 - tail], method="nearest")
    return Interval(value, float(lower), float(upper), sum(len(s) // block for s in kept_test))
