"""Lookback of features: the first session that a panel needs so that its last sessions have the same features."""

from foundry_tasks.features.factors import REFIT_SESSIONS, WINDOW_SESSIONS
from foundry_tasks.features.history import FILL_SESSIONS, RESIDUAL_VOL_SESSIONS

LOOKBACK_SESSIONS = FILL_SESSIONS + WINDOW_SESSIONS + REFIT_SESSIONS + RESIDUAL_VOL_SESSIONS
"""Lookback of `residual_vol`, the longest: a window of residuals, whose loadings are up to REFIT_SESSIONS old and use a
window of returns of filled closes."""


def first_needed(n_sessions: int, last: int) -> int:
    """Index of the first session needed for the features of the `last` sessions of a panel of `n_sessions`.

    It is a multiple of REFIT_SESSIONS, since factor refits are counted from a panel's first session.
    """
    return max(0, n_sessions - last - LOOKBACK_SESSIONS) // REFIT_SESSIONS * REFIT_SESSIONS
