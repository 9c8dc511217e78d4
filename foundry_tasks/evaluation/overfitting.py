"""How much of a Sharpe ratio is the luck of having tried often.

Every Sharpe ratio here is per session: mean over standard deviation, no √252. Kurtosis is not in excess: a normal has 3.
Trials are a matrix (n_sessions, n_trials) of daily P&L, decimal, of the same sessions for all; a NaN in
it leaves what follows undefined, which is NaN.

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
"""Trials whose daily P&L correlate at least this much, on average over two clusters, count as one."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class SharpeSample:
    """What the Sharpe ratio's own error depends on. sharpe: per session. kurtosis: 3 for a normal."""

    sharpe: float
    n_sessions: int
    skew: float = 0.0
    kurtosis: float = 3.0

    @classmethod
    def of(cls, pnl: FloatArray) -> "SharpeSample":
        """pnl: (n_sessions,), daily. All NaN for a series that never moves; moments with ddof = 0."""
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
    """Sharpe ratio that the best of N skill-less trials has: √V ((1 − γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e))).

    variance: of the trials' Sharpe ratios. γ is Euler's constant. One trial chose nothing: 0.

    >>> round(expected_maximum_sharpe(100, variance=0.01), 3)
    0.253
    """
    if n_trials <= 1:
        return 0.0
    first, second = _NORMAL.inv_cdf(1 - 1 / n_trials), _NORMAL.inv_cdf(1 - 1 / (n_trials * np.e))
    return float(np.sqrt(variance) * ((1 - np.euler_gamma) * first + np.euler_gamma * second))


def deflated_sharpe_ratio(sample: SharpeSample, *, n_trials: int, variance: float) -> float:
    """Probability that the true Sharpe ratio is above what the best of `n_trials` skill-less trials would show.

    >>> round(deflated_sharpe_ratio(SharpeSample(sharpe=0.1, n_sessions=500), n_trials=10, variance=0.001), 3)
    0.868
    """
    return probabilistic_sharpe_ratio(sample, expected_maximum_sharpe(n_trials, variance))


def trial_clusters(trials: FloatArray) -> npt.NDArray[np.int64]:
    """Cluster of each trial, 1 …; shape (n_trials,).

    Average linkage on 1 − correlation, cut at SAME_TRIAL_CORRELATION: unlike a silhouette it can also find that all trials
    are one, or none alike. A trial that never moved correlates with nothing and is a cluster of its own.
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - a second that others are spared
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
    """A deflated Sharpe ratio and what it was held against. n_trials: raw, or clusters. variance: of their Sharpe ratios."""

    n_trials: int
    variance: float
    expected_maximum: float
    deflated: float


def deflate(chosen: FloatArray, trials: FloatArray) -> tuple[Deflation, Deflation]:
    """Deflate `chosen` (n_sessions,) by all `trials`: once by their raw number, once by clusters of like trials.

    Copies of a trial raise the raw number and narrow the variance of its Sharpe ratios, so read the stricter of the two. A
    cluster's Sharpe ratio is that of its mean P&L. Trials that never moved count, with a Sharpe ratio of 0.
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
    """probability: how often the best trial of one half is in the lower half of the trials in the other.

    logits: (n_splits,) ln(ω / (1 − ω)) of its relative rank ω there; above 0 the choice was worth making. loss: how often
    it has a Sharpe ratio below 0 there.
    """

    probability: float
    loss: float
    logits: FloatArray


def backtest_overfitting(trials: FloatArray, *, blocks: int = 16) -> BacktestOverfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    The sessions are cut into `blocks` equal blocks of consecutive ones (the earliest few that are over are left out); every
    half of the blocks once chooses the trial with the best Sharpe ratio, and the other half ranks it. About ½ where no trial
    is better than another (the middle rank counts as the lower half: 1/(2N) more for an odd number N of trials). A trial
    that does not move in a half counts there as Sharpe 0: what doing nothing earns. NaN below two trials, below two
    sessions a block and with a NaN among the trials. Raises ConfigError for an odd number of blocks.
    """
    if blocks % 2 or blocks < 2:
        raise ConfigError(
            f"blocks must be even, for half of them chooses and half judges; got {blocks}. 16 is the paper's."
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
