"""Statistics across the tickers of one session.

Matrices are (n_sessions, n_tickers) float64; NaN marks what takes no part. Every session is reduced on its own and in
the same order of tickers, its tickers side by side in memory, so that cutting or spoiling other sessions does not move a
single bit.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.ranks import session_ranks
from foundry_tasks.features.windows import Matrix, by_ticker


def session_mean(x: Matrix) -> Matrix:
    """(n_sessions, 1): mean over the tickers that have a value."""
    x = np.ascontiguousarray(x)
    count = np.isfinite(x).sum(axis=1, keepdims=True)
    return np.asarray(np.nansum(x, axis=1, keepdims=True) / np.where(count > 0, count, np.nan))


def session_std(x: Matrix) -> Matrix:
    """(n_sessions, 1): deviation over the tickers that have a value (ddof = 0)."""
    return np.sqrt(session_mean((x - session_mean(x)) ** 2))


def session_rank(x: Matrix) -> Matrix:
    """Rank within the session, in (0, 1): (rank − ½) / count, ties share their mean rank.

    Shape (n_sessions, n_tickers); NaN stays NaN.

    >>> session_rank(np.array([[0.3, 0.1, np.nan, 0.2, 0.4]])).tolist()
    [[0.625, 0.125, nan, 0.375, 0.875]]
    """
    count = np.isfinite(x).sum(axis=1, keepdims=True)
    return np.asarray((session_ranks(x) - 0.5) / np.where(count > 0, count, np.nan))


class Sectors:
    """Which tickers share a sector; those of unknown sector ("") form one of their own."""

    def __init__(self, names: Sequence[str]) -> None:
        _, code = np.unique(np.asarray(names, dtype=str), return_inverse=True)
        self._order: npt.NDArray[np.intp] = np.argsort(code, kind="stable")
        self._starts = np.flatnonzero(np.diff(code[self._order], prepend=-1))
        self._code = code

    def mean(self, x: Matrix) -> Matrix:
        """Mean over the sector's tickers that have a value, given to each of its tickers.

        x: (n_sessions, n_tickers). The same shape; NaN where no ticker of the sector has a value.
        """
        grouped = np.take(np.ascontiguousarray(x), self._order, axis=1)
        known = np.isfinite(grouped)
        total = np.add.reduceat(np.where(known, grouped, 0.0), self._starts, axis=1)
        count = np.add.reduceat(known.astype(np.float64), self._starts, axis=1)
        return by_ticker(np.take(total / np.where(count > 0, count, np.nan), self._code, axis=1))
