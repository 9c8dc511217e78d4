"""Statistical factors of daily returns: what a ticker does that its peers do not explain.

Avellaneda and Lee (2010), "Statistical arbitrage in the US equities market": principal components of standardised
returns over a trailing window; the residual is what they leave of a day's return.
"""

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships none

from foundry_tasks.features.windows import Matrix, by_ticker

N_FACTORS = 15
WINDOW_SESSIONS = 252
MIN_WINDOW_SESSIONS = 63
REFIT_SESSIONS = 42
_TICKERS_PER_FACTOR = 5
"""A small universe gets fewer factors, lest nothing be left over."""
_MIN_TICKERS = 3
_MIN_SHARE = 0.8
_CLIP = 5.0
"""Standardised returns beyond this neither make a factor nor move one: a bad bar or a merger is nobody else's news."""


def factor_residuals(returns: Matrix, *, since: int = 0) -> Matrix:
    """Residuals of daily returns on their principal components, in units of return.

    returns: (n_sessions, n_tickers), NaN for who takes no part. Loadings come from the WINDOW_SESSIONS before the refit
    and serve the REFIT_SESSIONS that follow; refits are counted from the first session, so a cut of later sessions
    changes nothing. NaN before MIN_WINDOW_SESSIONS, and for a ticker that lacks a fifth of the window. Nobody asks for the
    sessions before index `since`: what a refit would serve of those alone is NaN too.
    """
    import scipy.linalg  # noqa: F401, PLC0415 - slow; and it brings a BLAS of its own, which is limited only once it is there

    returns = np.ascontiguousarray(returns)  # a matrix product of another layout may round differently
    residuals = np.full_like(returns, np.nan)
    # One thread: the matrices are small, waiting threads cost more than they save, and bits stay the same everywhere.
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
    # Always the same shape: a matrix product of fewer rows may round differently, and a cut must not show.
    scores = np.zeros((REFIT_SESSIONS, len(usable)))
    scores[: len(block)] = np.clip(np.nan_to_num(block[:, usable] / deviation, nan=0.0), -_CLIP, _CLIP)
    common = (scores @ loadings) @ loadings.T
    residuals[:, usable] = block[:, usable] - np.where(np.isinf(deviation), 0.0, deviation) * common[: len(block)]
    return residuals


def _loadings(scores: Matrix) -> npt.NDArray[np.float64]:
    """(n_tickers, n_factors) orthonormal: the leading right singular vectors, from the smaller Gram matrix."""
    from scipy.linalg import eigh  # noqa: PLC0415 - loaded by now

    n_sessions, n_tickers = scores.shape
    n_factors = min(N_FACTORS, max(1, n_tickers // _TICKERS_PER_FACTOR))
    by_session = n_sessions < n_tickers
    gram = scores @ scores.T if by_session else scores.T @ scores
    size = len(gram)
    strengths, vectors = eigh(gram, subset_by_index=(size - min(n_factors, size), size - 1))
    kept = strengths > max(strengths[-1], 0.0) * 1e-10
    vectors = vectors[:, kept]
    return np.asarray(scores.T @ vectors / np.sqrt(strengths[kept]) if by_session else vectors)
