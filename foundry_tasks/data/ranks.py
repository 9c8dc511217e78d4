"""Ranks within a session, several times faster than by argsort.

Integers are sorted with vector instructions; argsort of floats is not. Each float is mapped to an integer of the same
order, and its lowest bits are replaced by the ticker's index. Sessions in which the replaced bits would decide an order are
ranked by bottleneck instead.
"""

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import FloatArray

_CELLS_AT_ONCE = 1 << 15
"""Cells ranked at once; they fit into a core's own cache."""
_LARGEST = np.iinfo(np.int64).max


def session_ranks(values: FloatArray) -> npt.NDArray[np.float64]:
    """Ranks 1 … n within each session, ties averaged, NaN kept. Shape (…, n_sessions, n_tickers)."""
    if not values.size:
        return np.empty(values.shape)
    flat = np.ascontiguousarray(values, dtype=np.float64).reshape(-1, values.shape[-1])
    found = np.empty_like(flat)
    step = max(1, _CELLS_AT_ONCE // max(flat.shape[1], 1))
    for start in range(0, len(flat), step):
        _rank_sessions(flat[start : start + step], found[start : start + step])
    return found.reshape(values.shape)


def _rank_sessions(rows: npt.NDArray[np.float64], out: npt.NDArray[np.float64]) -> None:
    n_rows, n = rows.shape
    unknown = np.isnan(rows)
    bits = rows.view(np.int64)
    keys = np.where(unknown, _LARGEST, bits ^ ((bits >> 63) & _LARGEST))
    place_bits = (1 << max(n - 1, 0).bit_length()) - 1
    keys &= ~place_bits
    keys |= np.arange(n)
    keys.sort(axis=1)
    keys &= place_bits
    keys += n * np.arange(n_rows)[:, None]
    ordered = rows.reshape(-1)[keys]
    rank = np.broadcast_to(np.arange(1.0, n + 1), rows.shape)
    tied = ordered[:, 1:] == ordered[:, :-1]
    if tied.any():
        rank = _mean_ranks(tied)
    out.reshape(-1)[keys] = rank
    out[unknown] = np.nan
    undecided = (ordered[:, 1:] < ordered[:, :-1]).any(axis=1)
    if undecided.any():
        import bottleneck as bn  # noqa: PLC0415 - hardly ever needed

        out[undecided] = bn.nanrankdata(rows[undecided], axis=1)


def _mean_ranks(tied: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(n_rows, n): ranks of sorted values, ties averaged. tied: (n_rows, n − 1), whether a value equals the one before."""
    n_rows, n = len(tied), tied.shape[1] + 1
    position = np.arange(n)
    first, last = (np.empty((n_rows, n), np.int64) for _ in range(2))
    first[:, 0], first[:, 1:] = 0, np.where(tied, 0, position[1:])
    last[:, -1], last[:, :-1] = n - 1, np.where(tied, n - 1, position[:-1])
    np.maximum.accumulate(first, axis=1, out=first)
    np.minimum.accumulate(last[:, ::-1], axis=1, out=last[:, ::-1])
    return np.asarray((first + last) / 2 + 1)
