"""Statistical factors of daily returns, and the residual of each ticker's return on them.

Source: Avellaneda and Lee (2010), "Statistical arbitrage in the US equities market". The factors are principal components of
standardised returns over a trailing window; residual = return − its projection on the factors.
"""

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # the package has no types

from foundry_tasks.features.windows import Matrix, by_ticker

N_FACTORS = 15
WINDOW_SESSIONS = 252
MIN_WINDOW_SESSIONS = 63
REFIT_SESSIONS = 42
_TICKERS_PER_FACTOR = 5
"""At most one factor for this many tickers: in a small universe 15 factors would leave no residual."""
_MIN_TICKERS = 3
_MIN_SHARE = 0.8
_CLIP = 5.0
"""Standardised returns are clipped to ± this value, so that a bad bar or a merger of one ticker does not dominate a factor."""


def factor_residuals(returns: Matrix, *, since: int = 0) -> Matrix:
    """(n_sessions, n_tickers): residuals of daily returns on their principal components, decimal.

    Loadings are fitted on the WINDOW_SESSIONS before each refit and used for the REFIT_SESSIONS after it. Refits are counted
    from the first session, so removing later sessions changes nothing. NaN before MIN_WINDOW_SESSIONS, and for a ticker with
    less than 80 % of the window.

    returns: (n_sessions, n_tickers), decimal; NaN entries take no part. since: index of the first session needed; refits
    that end before it are skipped and stay NaN.
    """
    import scipy.linalg  # noqa: F401, PLC0415 - slow import; before the limit, since it loads a BLAS of its own

    returns = np.ascontiguousarray(returns)  # a matrix product in another memory layout may round differently
    residuals = np.full_like(returns, np.nan)
    # One BLAS thread: the matrices are small, so threads cost more than they save; results are the same on every machine.
    with threadpool_limits(1, user_api="blas"):
        for start in range(MIN_WINDOW_SESSIONS, len(returns), REFIT_SESSIONS):
            block = slice(start, start + REFIT_SESSIONS)
            if block.stop <= since:
                continue
            residuals[block] = _block_residuals(returns[max(0, start - WINDOW_SESSIONS) : start], returns[block])
    return by_ticker(residuals)


def _block_residuals(window: Matrix, block: Matrix) -> Matrix:
    residuals = np.full_like(block, np.nan)
    present = np.isfinite(window)
    usable = np.flatnonzero(present.mean(axis=0) >= _MIN_SHARE)
    if len(usable) < _MIN_TICKERS:
        return residuals
    window = np.where(present, window, 0.0)[:, usable]
    deviation = np.sqrt((window**2).mean(axis=0))
    deviation[deviation == 0] = np.inf
    loadings = _loadings(np.clip(window / deviation, -_CLIP, _CLIP))
    # Always the same shape: with fewer rows a matrix product may round differently, and removing sessions must change no bit.
    scores = np.zeros((REFIT_SESSIONS, len(usable)))
    scores[: len(block)] = np.clip(np.nan_to_num(block[:, usable] / deviation, nan=0.0), -_CLIP, _CLIP)
    common = (scores @ loadings) @ loadings.T
    residuals[:, usable] = block[:, usable] - np.where(np.isinf(deviation), 0.0, deviation) * common[: len(block)]
    return residuals


def _loadings(scores: Matrix) -> npt.NDArray[np.float64]:
    """(n_tickers, n_factors) orthonormal: the leading right singular vectors, from the smaller Gram matrix."""
    from scipy.linalg import eigh  # noqa: PLC0415 - already loaded

    n_sessions, n_tickers = scores.shape
    n_factors = min(N_FACTORS, max(1, n_tickers // _TICKERS_PER_FACTOR))
    by_session = n_sessions < n_tickers
    gram = scores @ scores.T if by_session else scores.T @ scores
    size = len(gram)
    strengths, vectors = eigh(gram, subset_by_index=(size - min(n_factors, size), size - 1))
    kept = strengths > max(strengths[-1], 0.0) * 1e-10
    vectors = vectors[:, kept]
    return np.asarray(scores.T @ vectors / np.sqrt(strengths[kept]) if by_session else vectors)
