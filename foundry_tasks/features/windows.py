"""Moving windows down the sessions of a wide matrix: the window of row t ends at t.

Matrices are (n_sessions, n_tickers) float64, a ticker's sessions side by side in memory (`by_ticker`), which is how they are
walked and makes that several times faster; NaN entries are left out of a window, and a window with fewer than `MIN_SHARE` of
its entries is NaN. Bottleneck walks each column once from its first row, so later rows can neither change earlier ones nor be
seen by them; its running sums keep a rounding error of the largest value they have held, which is why prices and volumes come
in as ratios or as they are, never as powers.
"""

from collections.abc import Callable

import bottleneck as bn
import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

MIN_SHARE = 0.8
_FLAT = 1e-7
"""A deviation below this share of its scale is rounding, not movement."""


def _least(window: int) -> int:
    return max(1, int(np.ceil(MIN_SHARE * window)))


def by_ticker(values: npt.NDArray[np.generic]) -> Matrix:
    """The same with the sessions of a ticker side by side in memory; what is computed from such matrices is such a one."""
    return np.asfortranarray(values, dtype=np.float64)


def lagged(x: Matrix, sessions: int) -> Matrix:
    """The values `sessions` rows earlier; NaN where there is no such row.

    >>> lagged(np.array([[1.0], [2.0], [3.0]]), 1).tolist()
    [[nan], [1.0], [2.0]]
    """
    out = np.empty_like(x)
    out[:sessions] = np.nan
    out[sessions:] = x[: max(len(x) - sessions, 0)]
    return out


def filled(x: Matrix, limit: int) -> Matrix:
    """NaN replaced by the last value of at most `limit` rows earlier."""
    return by_ticker(bn.push(by_ticker(x).T, n=limit, axis=1).T)


def _moving(function: Callable[..., Matrix], x: Matrix, window: int, at_least: int, **options: int) -> Matrix:
    """A window longer than the history is one that has not filled yet, no different from the start of a longer one."""
    if at_least > len(x):
        return np.full_like(x, np.nan)
    return by_ticker(function(by_ticker(x).T, min(window, len(x)), min_count=at_least, axis=1, **options).T)


def moving_sum(x: Matrix, window: int) -> Matrix:
    """Sum of a window, missing entries counted as the mean of the others."""
    return moving_mean(x, window) * window


def moving_mean(x: Matrix, window: int) -> Matrix:
    """Mean of a window.

    >>> moving_mean(np.array([[1.0], [2.0], [3.0]]), 2).tolist()
    [[nan], [1.5], [2.5]]
    """
    return _moving(bn.move_mean, x, window, _least(window))


def moving_std(x: Matrix, window: int, *, scale: float = 1.0) -> Matrix:
    """Deviation of a window (ddof = 1); NaN where it is nothing beside the window's mean and `scale`.

    scale: what counts as large: 1 for returns and ratios, 0 for prices, whose own mean is their scale.
    """
    deviation = _moving(bn.move_std, x, window, max(2, _least(window)), ddof=1)
    size = moving_mean(x, window)
    np.maximum(np.abs(size, out=size), scale, out=size)
    size *= _FLAT
    deviation[deviation <= size] = np.nan
    return deviation


def moving_max(x: Matrix, window: int) -> Matrix:
    """Largest value of a window."""
    return _moving(bn.move_max, x, window, _least(window))


def moving_min(x: Matrix, window: int) -> Matrix:
    """Smallest value of a window."""
    return _moving(bn.move_min, x, window, _least(window))


def moving_covariance(x: Matrix, y: Matrix, window: int) -> Matrix:
    """Covariance of a window over the rows that have both; `y` may be one column for all of x's."""
    missing = np.isnan(x) | np.isnan(y)
    known = np.where(missing, np.nan, x)
    means = moving_mean(known, window)
    known = np.where(missing, np.nan, y)
    means *= moving_mean(known, window)
    known *= x
    covariance = moving_mean(known, window)
    covariance -= means
    return covariance


def moving_skew(x: Matrix, window: int) -> Matrix:
    """Skewness of a window, biased: E[(x − m)³] / s³."""
    power = x * x
    m1, m2 = moving_mean(x, window), moving_mean(power, window)
    power *= x
    skew = moving_mean(power, window)  # the third moment, not centred yet
    skew -= 3 * m1 * m2
    skew += 2 * m1 * m1 * m1
    variance = m2 - m1**2
    variance[variance <= _FLAT**2] = np.nan
    variance *= np.sqrt(variance)
    skew /= variance
    return skew
