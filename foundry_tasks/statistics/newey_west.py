"""Standard errors of means over serially dependent sessions. Newey and West (1987).

Long-run covariance of moments m_t with Bartlett weights: S = Γ₀ + Σ_{l=1..L} (1 − l/(L + 1)) (Γ_l + Γ_lᵀ), where
Γ_l = (1/T) Σ m_t m_{t−l}ᵀ. No small-sample factor, as in the paper.
"""

import numpy as np

from foundry_tasks.data.panel import FloatArray


def newey_west_lag(n_sessions: int, horizon: int = 1) -> int:
    """L = ⌊4 (T/100)^(2/9)⌋, Newey and West (1994), but at least 2 (h − 1) and at most T − 1.

    Labels of h sessions overlap by h − 1. With L = h − 1, Bartlett weights count only 67 % of the variance of a mean of
    20-session sums; with L = 2 (h − 1), 83 %. On 750 sessions of noise |t| > 1.96 then occurs in 5, 7 and 10 % of cases
    for h = 1, 5 and 20, so gates use Student's t of blocks instead.

    >>> newey_west_lag(750), newey_west_lag(750, horizon=20)
    (6, 38)
    """
    rule = int(4 * (n_sessions / 100) ** (2 / 9))
    return max(0, min(max(rule, 2 * (horizon - 1)), n_sessions - 1))


def long_run_covariance(moments: FloatArray, lag: int) -> FloatArray:
    """S of moments (n_sessions, k) that have mean zero; returns (k, k), NaN if a moment is NaN."""
    n_sessions = len(moments)
    covariance: FloatArray = moments.T @ moments / n_sessions
    for distance in range(1, lag + 1):
        shared = moments[distance:].T @ moments[:-distance] / n_sessions
        covariance = covariance + (1 - distance / (lag + 1)) * (shared + shared.T)
    return covariance


def mean_standard_error(series: FloatArray, *, horizon: int = 1) -> float:
    """Standard error of the mean of a per-session figure.

    series: (n_sessions,), NaN where the session has no figure (those are left out). horizon: sessions that a label
    spans. NaN below two figures.
    """
    kept = series[np.isfinite(series)]
    if len(kept) < 2:
        return float("nan")
    centred = (kept - kept.mean())[:, None]
    return float(np.sqrt(long_run_covariance(centred, newey_west_lag(len(kept), horizon))[0, 0] / len(kept)))
