"""Sessions after which the leakage audit cuts and poisons prices."""

from typing import Literal

import numpy as np

from foundry_tasks.features.build import BLOCK_SESSIONS
from foundry_tasks.features.factors import MIN_WINDOW_SESSIONS, REFIT_SESSIONS

Edge = Literal["factor refit", "block"]


def edge_sessions(first: int, stop: int) -> dict[Edge, tuple[int, ...]]:
    """Indices in [first, stop) at which features can see later sessions that they do not see elsewhere, ascending.

    `factor refit`: first sessions of refits of the factors. A window of returns that ends too late changes residuals there,
    and in the sessions between two refits it is past. `block`: the last session of a block that is computed at once, and the
    first of the next.
    """
    refits = range(MIN_WINDOW_SESSIONS, stop, REFIT_SESSIONS)
    blocks = (at for start in range(BLOCK_SESSIONS, stop + 1, BLOCK_SESSIONS) for at in (start - 1, start))
    return {
        "factor refit": tuple(at for at in refits if at >= first),
        "block": tuple(at for at in blocks if first <= at < stop),
    }


def cut_sessions(n_sessions: int, count: int, rng: np.random.Generator) -> list[int]:
    """`count` distinct sessions of the later half, ascending: one edge of each kind where there is one, the others random.

    The last session is none of them, since nothing comes after it.
    """
    first, stop = n_sessions // 2, n_sessions - 1
    chosen: list[int] = []
    for edges in edge_sessions(first, stop).values():
        if edges and len(chosen) < count:
            chosen.append(int(rng.choice(edges)))
    others = np.setdiff1d(np.arange(first, stop), chosen)
    return sorted([*chosen, *map(int, rng.choice(others, count - len(chosen), replace=False))])
