"""Moving-block bootstrap over sessions, Künsch (1989).

Rows of one session are dependent; blocks of consecutive sessions are nearly independent. A block has max(10, 3h)
sessions: at long horizons, shorter blocks give intervals that are too narrow.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from foundry_tasks.contract.config import IntervalsConfig
from foundry_tasks.data.panel import FloatArray


@dataclass(frozen=True, slots=True)
class Resampling:
    """Parameters of a bootstrap interval.

    confidence: level of the two-sided interval. resamples: number of resamples. min_blocks: with fewer blocks the
    interval is undefined. seed: of the random generator.
    """

    confidence: float
    resamples: int
    min_blocks: int
    seed: int

    @classmethod
    def of(cls, config: IntervalsConfig, seed: int) -> Self:
        """Parameters from a stage's config."""
        return cls(config.confidence, config.resamples, config.min_blocks, seed)

    @property
    def levels(self) -> tuple[float, float]:
        """Levels of the two quantiles that bound the interval."""
        tail = (1 - self.confidence) / 2
        return tail, 1 - tail


@dataclass(frozen=True, slots=True)
class Interval:
    """A point estimate with its interval; bounds are NaN if there are too few blocks."""

    value: float
    lower: float
    upper: float
    blocks: int

    @property
    def defined(self) -> bool:
        """Whether both bounds are finite."""
        return bool(np.isfinite(self.lower) and np.isfinite(self.upper))


def block_length(horizon: int) -> int:
    """Sessions in a bootstrap block."""
    return max(10, 3 * horizon)


def resampled_means(series: FloatArray, *, block: int, resamples: int, rng: np.random.Generator) -> FloatArray:
    """Means of moving-block resamples.

    series: (n_sessions, …), one or several figures per session, in order of time, without NaN. block: sessions per
    block. Returns (resamples, …). Each mean is over n_sessions // block whole blocks.
    """
    n_sessions = len(series)
    n_blocks = max(n_sessions // block, 1)
    block = min(block, n_sessions)
    sums = np.cumsum(np.concatenate([np.zeros((1, *series.shape[1:])), series]), axis=0)
    block_sums = sums[block:] - sums[:-block]
    starts = rng.integers(0, len(block_sums), size=(resamples, n_blocks))
    means: FloatArray = block_sums[starts].sum(axis=1) / (n_blocks * block)
    return means


def mean_interval(series: FloatArray, *, horizon: int, resampling: Resampling) -> Interval:
    """Mean of a per-session figure with its two-sided percentile interval.

    series: (n_sessions,), NaN where the session has no figure (those sessions are left out). horizon: sessions that
    a label spans; it sets the block length. Bounds are NaN below resampling.min_blocks blocks.

    >>> figure = 0.52 + 0.1 * np.sin(np.arange(300.0))
    >>> resampling = Resampling(confidence=0.95, resamples=200, min_blocks=12, seed=7)
    >>> found = mean_interval(figure, horizon=1, resampling=resampling)
    >>> round(found.value, 3), round(found.lower, 3), round(found.upper, 3)
    (0.52, 0.515, 0.524)
    """
    kept = series[np.isfinite(series)]
    block = block_length(horizon)
    blocks = len(kept) // block
    value = float(kept.mean()) if len(kept) else float("nan")
    if blocks < resampling.min_blocks:
        return Interval(value, float("nan"), float("nan"), blocks)
    rng = np.random.default_rng(resampling.seed)
    means = resampled_means(kept, block=block, resamples=resampling.resamples, rng=rng)
    lower, upper = np.quantile(means, resampling.levels)
    return Interval(value, float(lower), float(upper), blocks)
