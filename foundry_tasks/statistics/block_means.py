"""Intervals of means and ratios of sums over sessions: Student's t of blocks of sessions.

Rows of one session are dependent; blocks of consecutive sessions are nearly independent. A block has b = max(10, 3h)
sessions, h the horizon: at long horizons, shorter blocks give intervals that are too narrow.

**Overlap.** Labels of sessions t and t + j share h − j of their h returns. If the figure of a session is a sum over these
returns, its autocovariance is γ₀ (1 − j/h) for j < h, and its long-run variance is Ω = γ₀ h. The sum of a block of b sessions
has the variance

    b γ₀ + 2 Σ_{0<j<h} (b − j) γ₀ (1 − j/h) = b Ω − γ₀ (h² − 1)/3 = b Ω (1 − (h² − 1)/(3hb)) ≈ b Ω (1 − h/3b)

and the sum of all n sessions n Ω − γ₀ (h² − 1)/3, since neighbouring blocks are positively correlated. The variance of block
means therefore underestimates that of the overall mean by about the factor in brackets, 0.89 at h = 20, and the standard error is
divided by its root. If scores change between sessions, the autocovariance is smaller and the correction errs on the safe side.

**Student's t** with one degree of freedom less than blocks is valid for independent normal blocks, and conservative if their
variances differ, as in calm and turbulent markets: Ibragimov and Müller (2010), for levels up to 8 %.
"""

from dataclasses import dataclass

import numpy as np

from foundry_tasks.data.panel import FloatArray


@dataclass(frozen=True, slots=True)
class BlockRule:
    """Parameters of an interval. confidence: two-sided level. min_blocks: with fewer blocks the interval is undefined."""

    confidence: float
    min_blocks: int

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
    """Sessions in a block."""
    return max(10, 3 * horizon)


def mean_interval(series: FloatArray, *, horizon: int, rule: BlockRule) -> Interval:
    """Mean of a per-session figure with its two-sided interval.

    series: (n_sessions,), NaN where the session has no figure (those sessions are left out). horizon: sessions that
    a label spans; it sets the block length. Bounds are NaN below rule.min_blocks blocks.

    >>> figure = 0.52 + 0.1 * np.sin(np.arange(300.0))
    >>> found = mean_interval(figure, horizon=1, rule=BlockRule(confidence=0.95, min_blocks=12))
    >>> round(found.value, 3), round(found.lower, 3), round(found.upper, 3)
    (0.52, 0.515, 0.526)
    """
    kept = series[np.isfinite(series)]
    return ratio_interval(kept, np.ones(len(kept)), horizon=horizon, rule=rule)


def ratio_interval(numerator: FloatArray, denominator: FloatArray, *, horizon: int, rule: BlockRule) -> Interval:
    """Σ numerator / Σ denominator over sessions with its two-sided interval.

    numerator, denominator: (n_sessions,), in order of time, without NaN; denominator ≥ 0. horizon: sessions that a label
    spans. All sessions are used: n // b blocks whose lengths differ by one session at most. The ratio r is linearised: its
    error is Σ_k (N_k − r D_k) / Σ D over the blocks' sums N_k, D_k. Bounds are NaN below rule.min_blocks blocks or
    2, the value if the denominator's sum is 0.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - slow import

    block = block_length(horizon)
    blocks, total = len(numerator) // block, float(denominator.sum())
    value = float(numerator.sum() / total) if total > 0 else float("nan")
    if blocks < max(rule.min_blocks, 2) or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"), blocks)
    starts = np.linspace(0, len(numerator), blocks, endpoint=False).astype(int)
    errors = np.add.reduceat(numerator - value * denominator, starts)
    overlap = 1 - (horizon**2 - 1) / (3 * horizon * block)
    standard_error = np.sqrt(blocks / (blocks - 1) * np.square(errors).sum() / overlap) / total
    half = float(stdtrit(blocks - 1, rule.levels[1]) * standard_error)
    return Interval(value, value - half, value + half, blocks)
