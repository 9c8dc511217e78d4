"""Moving-block bootstrap over sessions, Künsch (1989), for figures that are neither a mean nor a ratio of sums.

Its percentile intervals are too narrow with few blocks: one-sided, a nominal 2.5 % is 3.6 to 5.5 % at 18 blocks. Gates that
refuse on a bound use `statistics.block_means`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from foundry_tasks.contract.config import IntervalsConfig
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.statistics.block_means import BlockRule


@dataclass(frozen=True, slots=True)
class Resampling(BlockRule):
    """Parameters of a bootstrap interval. resamples: number of resamples. seed: of the random generator."""

    resamples: int
    seed: int

    @classmethod
    def of(cls, config: IntervalsConfig, seed: int) -> Self:
        """Parameters from a stage's config."""
        return cls(config.confidence, config.min_blocks, config.resamples, seed)


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
