"""Scores of rows, session by session: a session alone has the same scores, to the bit, as among others."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from foundry_tasks.models.deep.numpy_forward.layers import Array
from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.design import Scores
from foundry_tasks.models.scaler import Scaler

LogOdds = Callable[[Array], Array]
"""Scaled windows (batch, steps, inputs) → (batch,) log-odds of the head `sign`."""
_CHUNK_STEPS = 4096
"""Windows that pass through a network together have about this many steps in all: the arrays on the way fit a core's cache."""


def score_sessions(log_odds: LogOdds, rows: Sequences, scaler: Scaler, steps: int, *, threads: int = 1) -> Scores:
    """(n_rows,) log-odds.

    A session is a batch: matrix products round by their shape, so a session's scores have the same bits whatever is
    scored beside it, in whatever number of threads.
    """
    scores = np.empty(len(rows))

    def score(session: slice) -> None:
        scores[session] = log_odds(scaler.apply(rows[session].windows(steps)))

    if threads == 1:
        for session in rows.by_session():
            score(session)
        return scores
    with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
        for done in [pool.submit(score, session) for session in rows.by_session()]:
            done.result()
    return scores


def in_chunks(log_odds: LogOdds) -> LogOdds:
    """The same, a few rows at a time, which saves a quarter to a third of the time of a large session."""

    def chunked(windows: Array) -> Array:
        n_rows = max(_CHUNK_STEPS // windows.shape[1], 1)
        return np.concatenate([log_odds(windows[first : first + n_rows]) for first in range(0, len(windows), n_rows)])

    return chunked
