"""Selection bias: the part of the best trial's Sharpe ratio that comes from choosing the best.

The Sharpe ratio is deflated by all trials. The probability of overfitting is how often the best trial of one half of the
sessions ranks low in the other half. `overfitting` has the formulas and their sources.

Trials may have different sessions. Each counts in the raw number, with the Sharpe ratio of its own sessions. Clusters and the
probability of overfitting need P&L of the same sessions, so they use only the trials that share enough of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foundry_tasks.data.panel import DateArray, FloatArray
from foundry_tasks.evaluation.overfitting import (
    Deflation,
    SharpeSample,
    backtest_overfitting,
    deflate,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
)
from foundry_tasks.evaluation.performance import UNDEFINED
from foundry_tasks.evaluation.standard_portfolio import DailyPnl

MIN_SHARED = 0.5
"""Smallest share of the chosen trial's sessions that must remain after a trial is aligned with it."""
MIN_TRIALS = 10
"""Smallest number of different trials; with fewer, the rank in the other half is too coarse."""
MIN_SESSIONS = 160
"""16 blocks (the paper's number) of 10 sessions (the bootstrap's shortest block)."""


@dataclass(frozen=True, slots=True)
class SelectionBias:
    """Selection bias of the chosen trial.

    sharpe: per session. raw: deflated by the number of all trials. clustered: deflated by the number of clusters among the
    aligned trials. aligned, unaligned: number of trials that share enough or too few sessions. shared_sessions: number of
    sessions common to the aligned trials. overfitting: its probability, NaN if `undefined` holds a reason.
    """

    sharpe: float
    raw: Deflation
    clustered: Deflation
    aligned: int
    unaligned: int
    shared_sessions: int
    overfitting: float
    undefined: str

    @property
    def deflated(self) -> float:
        """The smaller of raw and clustered; NaN if the P&L of the chosen trial is constant."""
        return float(np.minimum(self.raw.deflated, self.clustered.deflated))


def selection_bias(chosen: DailyPnl, trials: Sequence[DailyPnl]) -> SelectionBias:
    """Deflate `chosen` by all `trials`, which include it."""
    sessions, aligned = align(chosen, trials)
    matrix = np.column_stack([trial.pnl[np.isin(trial.sessions, sessions)] for trial in aligned])
    different = np.unique(matrix, axis=1)
    undefined = _too_little(different)
    _, clustered = deflate(chosen.pnl, matrix)
    return SelectionBias(
        sharpe=chosen.sharpe,
        raw=_deflated_by_all(chosen, trials),
        clustered=clustered,
        aligned=len(aligned),
        unaligned=len(trials) - len(aligned),
        shared_sessions=len(sessions),
        overfitting=UNDEFINED if undefined else backtest_overfitting(different).probability,
        undefined=undefined,
    )


def align(chosen: DailyPnl, trials: Sequence[DailyPnl]) -> tuple[DateArray, list[DailyPnl]]:
    """The sessions that trials share with `chosen`, and those trials.

    Trials are added in descending order of shared sessions, as long as MIN_SHARED of the sessions of `chosen` remain.
    """
    ranked = sorted(trials, key=lambda trial: -len(_shared(chosen.sessions, trial)))
    sessions, aligned = chosen.sessions, []
    for trial in ranked:
        left = _shared(sessions, trial)
        if len(left) >= max(1, MIN_SHARED * len(chosen.sessions)):
            sessions = left
            aligned.append(trial)
    return sessions, aligned


def _shared(sessions: DateArray, trial: DailyPnl) -> DateArray:
    return np.intersect1d(sessions, trial.sessions, assume_unique=True)


def _deflated_by_all(chosen: DailyPnl, trials: Sequence[DailyPnl]) -> Deflation:
    count = len(trials)
    variance = float(np.var([trial.sharpe for trial in trials], ddof=1)) if count > 1 else 0.0
    deflated = deflated_sharpe_ratio(SharpeSample.of(chosen.pnl), n_trials=count, variance=variance)
    return Deflation(count, variance, expected_maximum_sharpe(count, variance), deflated)


def _too_little(different: FloatArray) -> str:
    """Reason why the probability of overfitting is undefined; empty if it is defined."""
    n_sessions, n_trials = different.shape
    if n_trials < MIN_TRIALS:
        return f"{n_trials} different trials, {MIN_TRIALS} are needed"
    return f"{n_sessions} shared sessions, {MIN_SESSIONS} are needed" if n_sessions < MIN_SESSIONS else ""
