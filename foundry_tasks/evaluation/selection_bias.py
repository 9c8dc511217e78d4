"""How much of the best trial's Sharpe ratio is that it was the best.

It is deflated by every trial there was; besides, how often the best trial of one half of the sessions is a poor one in
the other. `overfitting` has the formulas and their sources.

Trials were run on different sessions. Every one of them counts in the raw number, with the Sharpe ratio of its own sessions;
clusters and the probability of overfitting need P&L of the same sessions, which some trials may not share.
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
"""Share of the chosen trial's sessions that have to be left once a trial is aligned with it."""
MIN_TRIALS = 10
"""Different ones; with fewer the rank of the best is too coarse to say how it fares in the other half."""
MIN_SESSIONS = 160
"""Sixteen blocks, the paper's, of ten sessions, the bootstrap's shortest."""


@dataclass(frozen=True, slots=True)
class SelectionBias:
    """What choosing among the trials did to the one at hand.

    sharpe: per session. raw, clustered: deflated by the number of all trials, and of clusters of like ones among the `aligned`.
    unaligned: trials that share too few sessions. shared_sessions: what the aligned have in common. overfitting: its
    probability, NaN where `undefined` says why.
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
        """The stricter of the two; NaN where the one at hand never moved."""
        return float(np.minimum(self.raw.deflated, self.clustered.deflated))


def selection_bias(chosen: DailyPnl, trials: Sequence[DailyPnl]) -> SelectionBias:
    """Deflate `chosen` by all `trials`, itself among them."""
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

    Trials are taken in the order of how much they share, as long as MIN_SHARED of the chosen one's sessions is left.
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
    """Why a probability of overfitting would mean nothing; empty where it means something."""
    n_sessions, n_trials = different.shape
    if n_trials < MIN_TRIALS:
        return f"{n_trials} different trials, {MIN_TRIALS} are needed"
    return f"{n_sessions} shared sessions, {MIN_SESSIONS} are needed" if n_sessions < MIN_SESSIONS else ""
