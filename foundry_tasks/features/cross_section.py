"""Statistics across the tickers of one session.

Matrices are (n_sessions, n_tickers) float64; NaN entries take no part. Every session is reduced separately, over tickers in
the same order and contiguous in memory, so that removing or changing other sessions does not change a bit.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.ranks import session_ranks
from foundry_tasks.features.windows import Matrix, by_ticker


def session_mean(x: Matrix) -> Matrix:
    """(n_sessions, 1): mean over the tickers that have a value; NaN without any. x: (n_sessions, n_tickers)."""
    x = np.ascontiguousarray(x)
    count = np.isfinite(x).sum(axis=1, keepdims=True)
    return np.asarray(np.nansum(x, axis=1, keepdims=True) / np.where(count > 0, count, np.nan))


def session_std(x: Matrix) -> Matrix:
    """(n_sessions, 1): standard deviation over the tickers that have a value (ddof = 0). x: (n_sessions, n_tickers)."""
    return np.sqrt(session_mean((x - session_mean(x)) ** 2))


def session_rank(x: Matrix) -> Matrix:
    """(n_sessions, n_tickers): rank within the session, (rank − ½) / count in (0, 1); ties averaged, NaN kept.

    x: (n_sessions, n_tickers).

    >>> session_rank(np.array([[0.3, 0.1, np.nan, 0.2, 0.4]])).tolist()
    [[0.625, 0.125, nan, 0.375, 0.875]]
    """
    count = np.isfinite(x).sum(axis=1, keepdims=True)
    return np.asarray((session_ranks(x) - 0.5) / np.where(count > 0, count, np.nan))


class SectorGroups(Protocol):
    """Groups of tickers by sector; tickers of unknown sector ("") form one group."""

    def mean(self, x: Matrix) -> Matrix:
        """(n_sessions, n_tickers): mean over the tickers of the same sector that have a value; NaN without any.

        x: (n_sessions, n_tickers).
        """


class SectorGroupsBySession:
    """Groups that change over time, as in `SectorGroups`. code: (n_sessions, n_tickers), the group of each cell, from 0 on."""

    def __init__(self, code: npt.NDArray[np.integer]) -> None:
        groups = int(code.max(initial=0)) + 1
        self._cell = (code + groups * np.arange(len(code))[:, None]).reshape(-1)
        self._size = groups * len(code)

    def mean(self, x: Matrix) -> Matrix:
        """As in `SectorGroups`."""
        known = np.isfinite(x)
        total = np.bincount(self._cell, np.where(known, x, 0.0).reshape(-1), self._size)
        count = np.bincount(self._cell, known.reshape(-1).astype(np.float64), self._size)
        mean = total / np.where(count > 0, count, np.nan)
        return by_ticker(mean[self._cell].reshape(x.shape))


class Sectors:
    """Groups of tickers by sector, constant over time. names: the sector of each ticker; "" is a group too."""

    def __init__(self, names: Sequence[str]) -> None:
        _, code = np.unique(np.asarray(names, dtype=str), return_inverse=True)
        self._order: npt.NDArray[np.intp] = np.argsort(code, kind="stable")
        self._starts = np.flatnonzero(np.diff(code[self._order], prepend=-1))
        self._code = code

    def mean(self, x: Matrix) -> Matrix:
        """(n_sessions, n_tickers): mean over the tickers of the same sector that have a value; NaN without any.

        x: (n_sessions, n_tickers).
        """
        grouped = np.take(np.ascontiguousarray(x), self._order, axis=1)
        known = np.isfinite(grouped)
        total = np.add.reduceat(np.where(known, grouped, 0.0), self._starts, axis=1)
        count = np.add.reduceat(known.astype(np.float64), self._starts, axis=1)
        return by_ticker(np.take(total / np.where(count > 0, count, np.nan), self._code, axis=1))
