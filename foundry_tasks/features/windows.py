"""Moving windows over the sessions of a wide matrix: the window of row t ends at t.

Matrices are (n_sessions, n_tickers) float64. A ticker's sessions are contiguous in memory (`by_ticker`), which makes windows
several times faster. NaN entries are left out of a window; a window with fewer than `MIN_SHARE` of its entries is NaN.
Bottleneck processes each column once from its first row, so row t does not depend on later rows. Its running sums keep a
rounding error in proportion to the largest value they have held: prices and volumes therefore enter as ratios or unchanged,
never as powers.
"""

from collections.abc import Callable

import bottleneck as bn
import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

MIN_SHARE = 0.8
_FLAT = 1e-7
"""A standard deviation below this share of its scale counts as a rounding error."""


def _least(window: int) -> int:
    return max(1, int(np.ceil(MIN_SHARE * window)))


def by_ticker(values: npt.NDArray[np.generic]) -> Matrix:
    """The values as float64 with each ticker's sessions contiguous in memory; results computed from them keep the layout."""
    return np.asfortranarray(values, dtype=np.float64)


def lagged(x: Matrix, sessions: int) -> Matrix:
    """The values of `sessions` rows before; NaN in the first `sessions` rows. x: (n_sessions, n_tickers), as the result.

    >>> lagged(np.array([[1.0], [2.0], [3.0]]), 1).tolist()
    [[nan], [1.0], [2.0]]
    """
    out = np.empty_like(x)
    out[:sessions] = np.nan
    out[sessions:] = x[: max(len(x) - sessions, 0)]
    return out


def filled(x: Matrix, limit: int) -> Matrix:
    """Replace NaN by the column's last value of at most `limit` rows before. x: (n_sessions, n_tickers), as the result."""
    return by_ticker(bn.push(by_ticker(x).T, n=limit, axis=1).T)


def _moving(function: Callable[..., Matrix], x: Matrix, window: int, at_least: int, **options: int) -> Matrix:
    """Apply a function of bottleneck. A window longer than the history gives the same values as the start of a longer one."""
    if at_least > len(x):
        return np.full_like(x, np.nan)
    return by_ticker(function(by_ticker(x).T, min(window, len(x)), min_count=at_least, axis=1, **options).T)


def moving_sum(x: Matrix, window: int) -> Matrix:
    """Sum of a window; missing entries count as the mean of the others. x: (n_sessions, n_tickers), as the result."""
    return moving_mean(x, window) * window


def moving_mean(x: Matrix, window: int) -> Matrix:
    """Mean of a window of `window` rows. x: (n_sessions, n_tickers), as the result.

    >>> moving_mean(np.array([[1.0], [2.0], [3.0]]), 2).tolist()
    [[nan], [1.5], [2.5]]
    """
    return _moving(bn.move_mean, x, window, _least(window))


def moving_std(x: Matrix, window: int, *, scale: float = 1.0) -> Matrix:
    """Standard deviation of a window (ddof = 1); NaN if it is ≤ 1e-7 · max(|mean of the window|, scale).

    x: (n_sessions, n_tickers), as the result. scale: 1 for returns and ratios; 0 for prices, whose mean is their scale.
    """
    deviation = _moving(bn.move_std, x, window, max(2, _least(window)), ddof=1)
    size = moving_mean(x, window)
    np.maximum(np.abs(size, out=size), scale, out=size)
    size *= _FLAT
    deviation[deviation <= size] = np.nan
    return deviation


def moving_max(x: Matrix, window: int) -> Matrix:
    """Largest value of a window. x: (n_sessions, n_tickers), as the result."""
    return _moving(bn.move_max, x, window, _least(window))


def moving_min(x: Matrix, window: int) -> Matrix:
    """Smallest value of a window. x: (n_sessions, n_tickers), as the result."""
    return _moving(bn.move_min, x, window, _least(window))


def moving_covariance(x: Matrix, y: Matrix, window: int) -> Matrix:
    """Covariance (ddof = 0) of a window over the rows where both are known.

    x: (n_sessions, n_tickers), as the result. y: the same shape or (n_sessions, 1).
    """
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
    """Skewness of a window, biased: E[(x − m)³] / s³. x: (n_sessions, n_tickers), as the result."""
    power = x * x
    m1, m2 = moving_mean(x, window), moving_mean(power, window)
    power *= x
    skew = moving_mean(power, window)  # third moment, centred below
    skew -= 3 * m1 * m2
    skew += 2 * m1 * m1 * m1
    variance = m2 - m1**2
    variance[variance <= _FLAT**2] = np.nan
    variance *= np.sqrt(variance)
    skew /= variance
    return skew
