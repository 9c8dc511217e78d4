"""How far back features see: where a panel may begin so that its last sessions have the features of a longer one."""

from foundry_tasks.features.factors import REFIT_SESSIONS, WINDOW_SESSIONS
from foundry_tasks.features.history import FILL_SESSIONS, RESIDUAL_VOL_SESSIONS

LOOKBACK_SESSIONS = FILL_SESSIONS + WINDOW_SESSIONS + REFIT_SESSIONS + RESIDUAL_VOL_SESSIONS
"""Of the longest chain: a deviation of residuals, whose loadings are up to a refit old and come from a window of returns
of filled closes. Every other feature remembers less."""


def first_needed(n_sessions: int, last: int) -> int:
    """Index of the session that a panel of `n_sessions` may begin with, where features of the `last` ones are wanted.

    A multiple of REFIT_SESSIONS, since the factors' refits are counted from a panel's first session.
    """
    return max(0, n_sessions - last - LOOKBACK_SESSIONS) // REFIT_SESSIONS * REFIT_SESSIONS
