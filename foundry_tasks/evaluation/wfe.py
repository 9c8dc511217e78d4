"""Walk-forward efficiency (WFE): share of the validation edge that remains in the test. Pardo (2008).

WFE = Σ test edge / Σ validation edge over the folds; edge = figure − neutral, as a rule directional accuracy − 0.5. A ratio of
sums is used because a mean of ratios explodes near 0.5. It is undefined if the summed validation edge is not above MIN_EDGE.
neutral = 0 is for figures that are 0 without skill: the rank IC, and accuracy − accuracy of the base rate known at the
time, to which drift adds nothing.

Two intervals: the bootstrap's, and Fieller's for a ratio of two normal means, which also shows if the data allow every ratio.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from statistics import NormalDist
from typing import Literal

import numpy as np

from foundry_tasks.data.panel import FloatArray
from foundry_tasks.statistics.block_means import Interval, block_length
from foundry_tasks.statistics.bootstrap import Resampling, resampled_means
from foundry_tasks.statistics.newey_west import mean_standard_error

MIN_EDGE = 0.001


def walk_forward_efficiency(validation: Sequence[float], test: Sequence[float], *, neutral: float = 0.5) -> float:
    """WFE of the folds' mean figures, as a ratio (1 = the whole edge remains); NaN if undefined.

    >>> round(walk_forward_efficiency([0.54, 0.56], [0.52, 0.53]), 2)
    0.5
    """
    validation_edge = float(np.sum(np.asarray(validation) - neutral))
    test_edge = float(np.sum(np.asarray(test) - neutral))
    if not validation_edge > MIN_EDGE or not np.isfinite(test_edge):
        return float("nan")
    return test_edge / validation_edge


def wfe_interval(
    validation: Sequence[FloatArray],
    test: Sequence[FloatArray],
    *,
    horizon: int,
    resampling: Resampling,
    neutral: float = 0.5,
) -> Interval:
    """WFE with its percentile interval; the sessions of every window are resampled in blocks.

    validation, test: for each fold, the figure by session (n_sessions,), NaN where a session has none. horizon: of the
    labels, in sessions; it sets the block length. A resample whose validation edge is not above MIN_EDGE counts as ±∞ by
    the sign of its test edge; an infinite bound thus shows that undefined ratios are possible. resampling.min_blocks is not
    used.
    """
    kept_validation, kept_test = _known(validation), _known(test)
    if any(len(series) == 0 for series in (*kept_validation, *kept_test)):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    value = walk_forward_efficiency(_means(kept_validation), _means(kept_test), neutral=neutral)
    rng = np.random.default_rng(resampling.seed)
    block = block_length(horizon)

    def edges(windows: list[FloatArray]) -> FloatArray:
        means = [
            resampled_means(series - neutral, block=block, resamples=resampling.resamples, rng=rng)
            for series in windows
        ]
        total: FloatArray = np.sum(means, axis=0)
        return total

    validation_edge, test_edge = edges(kept_validation), edges(kept_test)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(validation_edge > MIN_EDGE, test_edge / validation_edge, np.copysign(np.inf, test_edge))
    lower, upper = np.quantile(ratios, resampling.levels, method="nearest")
    return Interval(value, float(lower), float(upper), sum(len(s) // block for s in kept_test))


@dataclass(frozen=True, slots=True)
class FiellerSet:
    """Confidence set of the WFE. value: the WFE. kind: form of the set.

    between: lower … upper. outside: ratios ≤ lower and ratios ≥ upper, since the validation edge may be zero. every: all
    ratios, since both edges may be zero. undefined: a window has no figures, or there is no edge in validation.
    """

    value: float
    kind: Literal["between", "outside", "every", "undefined"]
    lower: float = float("nan")
    upper: float = float("nan")

    def __contains__(self, ratio: float) -> bool:
        if self.kind == "between":
            return self.lower <= ratio <= self.upper
        return self.kind == "every" or (self.kind == "outside" and not self.lower < ratio < self.upper)

    def __str__(self) -> str:
        return {
            "between": f"{self.lower:.0%} to {self.upper:.0%}",
            "outside": f"below {self.lower:.0%} or above {self.upper:.0%}: the validation edge may be zero",
            "every": "any ratio: both edges may be zero",
            "undefined": "undefined",
        }[self.kind]


def fieller_set(
    validation: Sequence[FloatArray],
    test: Sequence[FloatArray],
    *,
    horizon: int,
    confidence: float,
    neutral: float = 0.5,
) -> FiellerSet:
    """WFE with Fieller's confidence set: all θ with (test − θ validation)² ≤ z² (v_test + θ² v_validation). Fieller (1954).

    Arguments as in `wfe_interval`. v is the variance of a summed edge, by Newey–West within each window; windows
    count as independent.

    >>> wave = 0.05 * np.sin(np.arange(150.0))
    >>> str(fieller_set([0.55 + wave[:60]], [0.53 + wave], horizon=1, confidence=0.95))
    '48% to 72%'
    """
    kept_validation, kept_test = _known(validation), _known(test)
    if any(len(series) < 2 for series in (*kept_validation, *kept_test)):
        return FiellerSet(float("nan"), "undefined")
    value = walk_forward_efficiency(_means(kept_validation), _means(kept_test), neutral=neutral)
    if not np.isfinite(value):
        return FiellerSet(value, "undefined")
    bottom, top = (fsum(_means(windows)) - neutral * len(windows) for windows in (kept_validation, kept_test))
    v_bottom, v_top = (
        fsum(mean_standard_error(series, horizon=horizon) ** 2 for series in windows)
        for windows in (kept_validation, kept_test)
    )
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    a, b, c = bottom**2 - z**2 * v_bottom, -2 * bottom * top, top**2 - z**2 * v_top
    root = b * b - 4 * a * c
    if a == 0 or (a < 0 and root <= 0):
        return FiellerSet(value, "every")
    ends = sorted((-b + sign * float(np.sqrt(max(root, 0.0)))) / (2 * a) for sign in (-1, 1))
    return FiellerSet(value, "between" if a > 0 else "outside", ends[0], ends[1])


def fold_consistency(test: Sequence[FloatArray], *, neutral: float = 0.5) -> float:
    """Share of folds whose mean test figure is above neutral; a fold without a figure has no edge. NaN without folds.

    test: for each fold, the figure by session (n_sessions,), NaN where a session has none.
    """
    positive = [len(series) > 0 and series.mean() > neutral for series in _known(test)]
    return float(np.mean(positive)) if positive else float("nan")


def overfitting_ratio(validation: Sequence[float], test: Sequence[float]) -> float:
    """(Σ validation − Σ test) / Σ validation of the folds' mean figures: the share that is lost out of sample.

    No paper fixes a definition; this is the relative degradation of Bailey, Borwein, López de Prado and Zhu (2014). Use it
    for figures such as Sharpe ratios or accuracies; for edges it equals 1 − WFE. NaN if the validation sum is not above 0.

    >>> round(overfitting_ratio([1.0, 1.2], [0.6, 0.5]), 2)
    0.5
    """
    seen, left = float(np.sum(validation)), float(np.sum(test))
    return (seen - left) / seen if seen > 0 else float("nan")


def _known(windows: Sequence[FloatArray]) -> list[FloatArray]:
    return [series[np.isfinite(series)] for series in windows]


def _means(windows: Sequence[FloatArray]) -> list[float]:
    return [float(series.mean()) for series in windows]
