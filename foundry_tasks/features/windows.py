"""Moving windows down the sessions of a wide matrix: the window of row t ends at t.

Matrices are (n_sessions, n_tickers) float64, a ticker's sessions side by side in memory (`by_ticker`), which is how they are
walked and makes that several times faster; NaN entries are left out of a window, and a window with fewer than `MIN_SHARE` of
its entries is NaN. Bottleneck walks each column once from its first row, so later rows can neither change earlier ones nor be
seen by them; its running sums keep a rounding error of the largest value they have held, which is why prices and volumes come
in as ratios or as they are, never as powers.
"""

from typing import Any

import bottleneck as bn
import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

MIN_SHARE = 0.8
_FLAT = 1e-7
"""A deviation below this share of its scale is rounding, not movement."""


def _least(window: int) -> int:
    return max(1, int(np.ceil(MIN_SHARE * window)))


def by_ticker(values: npt.NDArray[Any]) -> Matrix:
    """The same with the sessions of a ticker side by side in memory; what is computed from such matrices is such a one."""
    return np.asfortranarray(values, dtype=np.float64)


def lagged(x: Matrix, sessions: int) -> Matrix:
    """The values `sessions` rows earlier; NaN where there is no such row."""
    out = np.empty_like(x)
    out[:sessions] = np.nan
    out[sessions:] = x[: max(len(x) - sessions, 0)]
    return out


def filled(x: Matrix, limit: int) -> Matrix:
    """NaN replaced by the last value of at most `limit` rows earlier."""
    return by_ticker(bn.push(by_ticker(x).T, n=limit, axis=1).T)


def _moving(function: Any, x: Matrix, window: int, at_least: int, **options: int) -> Matrix:
    """A window longer than the history is one that has not filled yet, no different from the start of a longer one."""
    if at_least > len(x):
        return np.full_like(x, np.nan)
    return by_ticker(function(by_ticker(x).T, min(window, len(x)), min_count=at_least, axis=1, **options).T)


def moving_sum(x: Matrix, window: int) -> Matrix:
    """Sum of a window, missing entries counted as the mean of the others."""
    return moving_mean(x, window) * window


def moving_mean(x: Matrix, window: int) -> Matrix:
    """Mean of a window."""
    return _moving(bn.move_mean, x, window, _least(window))


def moving_std(x: Matrix, window: int, *, scale: float = 1.0) -> Matrix:
    """Deviation of a window (ddof = 1); NaN where it is nothing beside the window's mean and `scale`.

    scale: what counts as large: 1 for returns and ratios, 0 for prices, whose own mean is their scale.
    """
    deviation = _moving(bn.move_std, x, window, max(2, _least(window)), ddof=1)
    flat = deviation <= _FLAT * np.maximum(np.abs(moving_mean(x, window)), scale)
    deviation[flat] = np.nan
    return deviation


def moving_max(x: Matrix, window: int) -> Matrix:
    """Largest value of a window."""
    return _moving(bn.move_max, x, window, _least(window))


def moving_min(x: Matrix, window: int) -> Matrix:
    """Smallest value of a window."""
    return _moving(bn.move_min, x, window, _least(window))


def moving_covariance(x: Matrix, y: Matrix, window: int) -> Matrix:
    """Covariance of a window over the rows that have both; `y` may be one column for all of x's."""
    both = np.where(np.isnan(x), np.nan, y)
    x = np.where(np.isnan(both), np.nan, x)
    return moving_mean(x * both, window) - moving_mean(x, window) * moving_mean(both, window)


def moving_skew(x: Matrix, window: int) -> Matrix:
    """Skewness of a window, biased: E[(x − m)³] / s³."""
    square = x * x
    m1, m2, m3 = (moving_mean(power, window) for power in (x, square, square * x))
    variance = m2 - m1**2
    variance[variance <= _FLAT**2] = np.nan
    return (m3 - 3 * m1 * m2 + 2 * m1 * m1 * m1) / (variance * np.sqrt(variance))
