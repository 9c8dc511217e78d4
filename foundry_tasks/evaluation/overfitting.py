"""Correction of a Sharpe ratio for the number of trials, and the probability of backtest overfitting.

Every Sharpe ratio here is per session: mean / standard deviation, without √252. Kurtosis is not excess: a normal has 3.
Trials are a matrix (n_sessions, n_trials) of daily P&L, decimal, all of the same sessions; with a NaN in it the
results are NaN.

Bailey and López de Prado (2012, 2014) for the probabilistic and the deflated Sharpe ratio; Bailey, Borwein, López de Prado
and Zhu (2017) for the probability of backtest overfitting; López de Prado and Lewis (2019) for counting clusters of trials.
"""

from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation.performance import UNDEFINED, sharpe_ratio

SAME_TRIAL_CORRELATION = 0.5
"""Two clusters of trials are merged if the daily P&L of their trials correlate at least this much on average."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class SharpeSample:
    """A Sharpe ratio and the moments that set its standard error. sharpe: per session. kurtosis: 3 for a normal."""

    sharpe: float
    n_sessions: int
    skew: float = 0.0
    kurtosis: float = 3.0

    @classmethod
    def of(cls, pnl: FloatArray) -> "SharpeSample":
        """Sample of a daily pnl, (n_sessions,). NaN for a constant series; skew and kurtosis with ddof = 0."""
        sharpe = sharpe_ratio(pnl, periods_per_year=1)
        if not np.isfinite(sharpe):
            return cls(UNDEFINED, len(pnl), UNDEFINED, UNDEFINED)
        score = (pnl - pnl.mean()) / pnl.std()
        return cls(sharpe, len(pnl), float(np.mean(score**3)), float(np.mean(score**4)))

    @property
    def error_variance(self) -> float:
        """(T − 1) times the variance of the estimate: 1 − γ₃ SR + (γ₄ − 1)/4 SR². Mertens (2002)."""
        return 1 - self.skew * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2


def probabilistic_sharpe_ratio(sample: SharpeSample, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio is above `benchmark`: Φ((SR − SR*) √(T − 1) / √error_variance).

    NaN for an undefined sample, and below two sessions.
    """
    if sample.n_sessions < 2 or not sample.error_variance > 0:
        return UNDEFINED
    z = (sample.sharpe - benchmark) * np.sqrt(sample.n_sessions - 1) / np.sqrt(sample.error_variance)
    return _NORMAL.cdf(float(z))


def expected_maximum_sharpe(n_trials: int, variance: float) -> float:
    """Expected Sharpe ratio of the best of N trials without skill: √V ((1 − γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e))).

    n_trials: N. variance: V, of the trials' Sharpe ratios. γ is Euler's constant. 0 for one trial.

    >>> round(expected_maximum_sharpe(100, variance=0.01), 3)
    0.253
    """
    if n_trials <= 1:
        return 0.0
    first, second = _NORMAL.inv_cdf(1 - 1 / n_trials), _NORMAL.inv_cdf(1 - 1 / (n_trials * np.e))
    return float(np.sqrt(variance) * ((1 - np.euler_gamma) * first + np.euler_gamma * second))


def deflated_sharpe_ratio(sample: SharpeSample, *, n_trials: int, variance: float) -> float:
    """Probability that the true Sharpe ratio is above the expected maximum of `n_trials` trials without skill.

    >>> round(deflated_sharpe_ratio(SharpeSample(sharpe=0.1, n_sessions=500), n_trials=10, variance=0.001), 3)
    0.868
    """
    return probabilistic_sharpe_ratio(sample, expected_maximum_sharpe(n_trials, variance))


def trial_clusters(trials: FloatArray) -> npt.NDArray[np.int64]:
    """Cluster of each trial, 1 …; shape (n_trials,).

    Average linkage on 1 − correlation, cut at SAME_TRIAL_CORRELATION. Unlike a choice by silhouette, this can return a
    single cluster or one cluster per trial. A trial with constant P&L counts as uncorrelated with all others.
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - the import takes a second
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    if trials.shape[1] < 2:
        return np.ones(trials.shape[1], dtype=np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.corrcoef(trials, rowvar=False)
    distance: FloatArray = 1 - np.where(np.isfinite(correlation), correlation, 0.0)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average")
    clusters: npt.NDArray[np.int64] = fcluster(tree, 1 - SAME_TRIAL_CORRELATION, criterion="distance").astype(np.int64)
    return clusters


@dataclass(frozen=True, slots=True)
class Deflation:
    """A deflated Sharpe ratio. n_trials: number of trials or of clusters. variance: of their Sharpe ratios."""

    n_trials: int
    variance: float
    expected_maximum: float
    deflated: float


def deflate(chosen: FloatArray, trials: FloatArray) -> tuple[Deflation, Deflation]:
    """Deflate `chosen` (n_sessions,) by all `trials`: once by their number, once by the number of their clusters.

    Copies of a trial raise the raw number and reduce the variance of the Sharpe ratios, so the stricter of the two counts.
    A cluster's Sharpe ratio is that of its mean P&L. A trial with constant P&L counts with a Sharpe ratio of 0.
    """
    clusters = trial_clusters(trials)
    means = np.column_stack([trials[:, clusters == label].mean(axis=1) for label in np.unique(clusters)])
    raw, clustered = (_deflation(SharpeSample.of(chosen), candidates) for candidates in (trials, means))
    return raw, clustered


def _deflation(sample: SharpeSample, candidates: FloatArray) -> Deflation:
    sharpes = [0.0 if np.ptp(pnl) == 0 else sharpe_ratio(pnl, periods_per_year=1) for pnl in candidates.T]
    count = len(sharpes)
    variance = float(np.var(sharpes, ddof=1)) if count > 1 else 0.0
    return Deflation(
        count,
        variance,
        expected_maximum_sharpe(count, variance),
        deflated_sharpe_ratio(sample, n_trials=count, variance=variance),
    )


@dataclass(frozen=True, slots=True)
class BacktestOverfitting:
    """probability: share of splits in which the best trial of one half ranks in the lower half in the other.

    logits: (n_splits,) ln(ω / (1 − ω)) of its relative rank ω there, above 0 in the upper half. loss: share of splits in
    which its Sharpe ratio there is below 0.
    """

    probability: float
    loss: float
    logits: FloatArray


def backtest_overfitting(trials: FloatArray, *, blocks: int = 16) -> BacktestOverfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    trials: (n_sessions, n_trials), daily P&L. The sessions are cut into `blocks` equal blocks of consecutive sessions; the
    earliest sessions that fill no block are left out. Every half of the blocks selects the trial with the best Sharpe
    ratio, and the other half ranks it. The probability is about ½ if no trial is better than another (the middle rank
    counts as the lower half: 1/(2N) more for an odd number N of trials). A trial with constant P&L in a half has a Sharpe
    ratio of 0 there. NaN below two trials, below two sessions per block and with a NaN among the trials. Raises
    ConfigError for an odd number of blocks.
    """
    if blocks % 2 or blocks < 2:
        raise ConfigError(
            f"blocks must be even, since one half selects and the other ranks; got {blocks}. The paper uses 16."
        )
    length = len(trials) // blocks
    n_trials = trials.shape[1]
    if n_trials < 2 or length < 2 or not np.isfinite(trials).all():
        return BacktestOverfitting(UNDEFINED, UNDEFINED, np.empty(0))
    cut = trials[len(trials) - length * blocks :].reshape(blocks, length, n_trials)
    halves = list(combinations(range(blocks), blocks // 2))
    inside = np.zeros((len(halves), blocks))
    np.put_along_axis(inside, np.array(halves), 1.0, axis=1)
    sums, squares, sessions = cut.sum(axis=1), (cut**2).sum(axis=1), length * blocks // 2
    chosen = _half_sharpes(inside @ sums, inside @ squares, sessions).argmax(axis=1)
    outside = _half_sharpes((1 - inside) @ sums, (1 - inside) @ squares, sessions)
    picked = np.take_along_axis(outside, chosen[:, None], axis=1)
    rank = (outside < picked).sum(axis=1) + ((outside == picked).sum(axis=1) + 1) / 2
    omega = rank / (n_trials + 1)
    logits = np.log(omega / (1 - omega))
    return BacktestOverfitting(float(np.mean(logits <= 0)), float(np.mean(picked < 0)), logits)


def _half_sharpes(sums: FloatArray, squares: FloatArray, sessions: int) -> FloatArray:
    """Sharpe ratios from sums and sums of squares, (n_splits, n_trials)."""
    mean, power = sums / sessions, squares / sessions
    variance = (power - mean**2) * sessions / (sessions - 1)
    moves = variance > 1e-12 * power
    return np.where(moves, mean / np.sqrt(np.where(moves, variance, 1.0)), 0.0)
