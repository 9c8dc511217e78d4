"""Metrics of forecasts on wide matrices (sessions × tickers). NaN in a score or a label leaves that row out."""

from dataclasses import dataclass

import numpy as np

from foundry_tasks.data.panel import BoolArray, FloatArray
from foundry_tasks.data.ranks import session_ranks
from foundry_tasks.statistics.newey_west import mean_standard_error, newey_west_lag


def session_auc(scores: FloatArray, labels: FloatArray) -> FloatArray:
    """AUC of each session's ranking: the chance that a random positive is scored above a random negative.

    scores, labels: (n_sessions, n_tickers), labels 0 or 1. Returns (n_sessions,), NaN where a session has one
    class only. Mann–Whitney with ties counted half.

    >>> session_auc(np.array([[0.1, 0.4, 0.35, 0.8]]), np.array([[0.0, 0.0, 1.0, 1.0]])).tolist()
    [0.75]
    """
    both = np.isfinite(scores) & np.isfinite(labels)
    ranks = session_ranks(np.where(both, scores, np.nan))
    positive = both & (labels > 0.5)
    n_positive = positive.sum(axis=1)
    n_negative = both.sum(axis=1) - n_positive
    rank_sum = np.where(positive, ranks, 0.0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        auc: FloatArray = (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)
    return np.where((n_positive > 0) & (n_negative > 0), auc, np.nan)


def pooled_auc(scores: FloatArray, labels: FloatArray) -> float:
    """AUC over all rows as one sample; it rewards drift between sessions, so it is reported only.

    scores, labels: (n_sessions, n_tickers), labels 0 or 1. NaN where the rows hold one class only.
    """
    return float(session_auc(scores.reshape(1, -1), labels.reshape(1, -1))[0])


def session_rank_ic(scores: FloatArray, returns: FloatArray) -> FloatArray:
    """Spearman correlation of scores and forward returns within each session: (n_sessions,), NaN if constant.

    scores, returns: (n_sessions, n_tickers), returns decimal. Ties share their mean rank. Spearman (1904).

    >>> session_rank_ic(np.array([[1.0, 2.0, 3.0]]), np.array([[0.01, 0.03, 0.02]])).tolist()
    [0.5]
    """
    both = np.isfinite(scores) & np.isfinite(returns)
    a = _centred(session_ranks(np.where(both, scores, np.nan)), both)
    b = _centred(session_ranks(np.where(both, returns, np.nan)), both)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation: FloatArray = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return correlation


@dataclass(frozen=True, slots=True)
class InformationCoefficient:
    """Mean of a per-session IC. icir: mean over standard deviation (ddof = 1), per session. t: Newey–West, `lag` lags."""

    mean: float
    icir: float
    t: float
    lag: int


def information_coefficient(session_ic: FloatArray, *, horizon: int) -> InformationCoefficient:
    """ICIR and t of a per-session IC. Grinold and Kahn (2000), chapter 6; Newey and West (1987).

    session_ic: (n_sessions,), NaN where a session has none (left out). horizon: of the labels, in sessions; the lag is
    that of `newey_west_lag`. icir and t are NaN below two sessions and for a constant IC.
    """
    kept = session_ic[np.isfinite(session_ic)]
    mean = float(kept.mean()) if len(kept) else float("nan")
    lag = newey_west_lag(len(kept), horizon)
    if len(kept) < 2 or np.ptp(kept) == 0:
        return InformationCoefficient(mean, float("nan"), float("nan"), lag)
    error = mean_standard_error(kept, horizon=horizon)
    return InformationCoefficient(mean, mean / float(np.std(kept, ddof=1)), mean / error, lag)


def session_dispersion(scores: FloatArray) -> FloatArray:
    """Standard deviation of the scores within each session (ddof = 0). Returns (n_sessions,), NaN below two scores."""
    finite = np.isfinite(scores)
    centred = _centred(scores, finite)
    count = finite.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        dispersion: FloatArray = np.sqrt((centred * centred).sum(axis=1) / count)
    return np.where(count > 1, dispersion, np.nan)


def session_brier(p_up: FloatArray, labels: FloatArray) -> FloatArray:
    """Mean squared error of P(up) in each session. Brier (1950). Returns (n_sessions,), NaN without rows.

    p_up, labels: (n_sessions, n_tickers), labels 0 or 1.
    """
    return _session_mean((p_up - labels) ** 2)


def brier_skill(p_up: FloatArray, base_rate: FloatArray, labels: FloatArray) -> float:
    """1 − Brier(P(up)) / Brier(base rate), each the mean over sessions; 0 = no better than the base rate, 1 = perfect.

    p_up, labels: (n_sessions, n_tickers), labels 0 or 1. base_rate: same shape, known at that session. Only rows with
    both forecasts count. NaN without rows and if the base rate's Brier score is 0. Murphy (1988).

    >>> round(brier_skill(np.array([[0.8, 0.2]]), np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])), 2)
    0.84
    """
    both = np.isfinite(p_up) & np.isfinite(base_rate)
    ours, reference = (session_brier(np.where(both, p, np.nan), labels) for p in (p_up, base_rate))
    known = np.isfinite(reference)
    if not reference[known].any():
        return float("nan")
    return float(1 - ours[known].mean() / reference[known].mean())


def session_log_loss(p_up: FloatArray, labels: FloatArray) -> FloatArray:
    """Mean negative log likelihood (nats) of the labels in each session. Good (1952). NaN without rows.

    P(up) is clipped to [2.2e-16, 1 − 2.2e-16], so that a certain mistake costs 36 nats instead of infinity.

    p_up, labels: (n_sessions, n_tickers), labels 0 or 1. Returns (n_sessions,).
    """
    epsilon = np.finfo(np.float64).eps
    p = np.clip(np.asarray(p_up, dtype=np.float64), epsilon, 1 - epsilon)
    return _session_mean(-(labels * np.log(p) + (1 - labels) * np.log1p(-p)))


def session_hit_rate(scores: FloatArray, labels: FloatArray) -> FloatArray:
    """Share of right directions in each session, direction relative to the session's median score.

    A score equal to the median has no direction and is left out; a constant forecast gives NaN.

    scores, labels: (n_sessions, n_tickers), labels 0 or 1. Returns (n_sessions,).

    >>> session_hit_rate(np.array([[0.4, 0.6, 0.7, 0.2]]), np.array([[0.0, 1.0, 0.0, 0.0]])).tolist()
    [0.75]
    """
    both = np.isfinite(scores) & np.isfinite(labels)
    kept = np.where(both, scores, np.nan)
    with np.errstate(invalid="ignore"):
        direction = np.sign(kept - _session_median(kept))
    right = np.where(direction == 0, np.nan, (direction > 0) == (labels > 0.5))
    return _session_mean(np.where(both, right, np.nan))


def session_accuracy(p_up: FloatArray, labels: FloatArray) -> FloatArray:
    """Directional accuracy: share of right directions in each session, up being P(up) > 0.5. Returns (n_sessions,).

    p_up, labels: (n_sessions, n_tickers), labels 0 or 1. NaN in a session without rows.
    """
    both = np.isfinite(p_up) & np.isfinite(labels)
    return _session_mean(np.where(both, (p_up > 0.5) == (labels > 0.5), np.nan))


def known_mean(series: FloatArray) -> float:
    """Mean of the finite values of a figure by session, (n_sessions,); NaN if there are none."""
    known = series[np.isfinite(series)]
    return float(known.mean()) if len(known) else float("nan")


def _session_mean(values: FloatArray) -> FloatArray:
    finite = np.isfinite(values)
    count = finite.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: FloatArray = np.where(finite, values, 0.0).sum(axis=1) / count
    return mean


def _session_median(values: FloatArray) -> FloatArray:
    import bottleneck as bn  # noqa: PLC0415 - stages that compute no metric start faster

    median: FloatArray = bn.nanmedian(np.asarray(values, dtype=np.float64), axis=1)[:, None]
    return median


def _centred(values: FloatArray, mask: BoolArray) -> FloatArray:
    count = np.maximum(mask.sum(axis=1, keepdims=True), 1)
    filled = np.where(mask, values, 0.0)
    return np.where(mask, filled - filled.sum(axis=1, keepdims=True) / count, 0.0)
