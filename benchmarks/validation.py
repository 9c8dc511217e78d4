"""Validation: bootstrap and null distribution of the gated figures on 600,000 forecasts, compared with plain loops."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.row import Row, cpu_timed, taking_turns
from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.evaluation.metrics import session_auc, session_hit_rate
from foundry_tasks.gates.null_distribution import admissible_shifts, null_distribution
from foundry_tasks.statistics.block_means import Interval, block_length
from foundry_tasks.statistics.bootstrap import Resampling, resampled_means
from foundry_tasks.walk.evidence import Evidence

N_SESSIONS, N_TICKERS, HORIZON, N_FOLDS = 1200, 500, 5, 5
RESAMPLES = 2000
LOOPED_SHIFTS = 10
MOST_S = 3


def rows(market_data: Path, peers: Path, *, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - random forecasts
    """Assert equal values, then measure. All rows are quick."""
    evidence = _evidence()
    size = f"{N_SESSIONS * N_TICKERS:,} forecasts"

    assert np.isclose(_interval(evidence).value, _looped_interval(evidence).value)
    assert abs(_interval(evidence).lower - _looped_interval(evidence).lower) < 2e-4, "two draws of one bootstrap"
    turns = taking_turns(
        cpu_timed(lambda: _interval(evidence), repeats=20), cpu_timed(lambda: _looped_interval(evidence)), pairs=5
    )
    yield Row.of(
        turns,
        f"{RESAMPLES:,} resamples of the AUC by session, {size}",
        "scikit-learn's AUC a session, then a loop over resamples",
        unit="s of CPU",
        most=MOST_S,
        quick=True,
    )

    shifts = admissible_shifts(N_SESSIONS)
    looped = _looped_null(evidence, shifts[:LOOPED_SHIFTS])
    assert np.isclose(null_distribution(evidence).figures["auc"].mean, np.mean(looped), atol=1e-3)
    share = len(shifts) / LOOPED_SHIFTS
    turns = taking_turns(
        cpu_timed(lambda: null_distribution(evidence)),
        cpu_timed(lambda: _looped_null(evidence, shifts[:LOOPED_SHIFTS])),
        pairs=5,
    )
    yield Row.of(
        [(ours, theirs * share) for ours, theirs in turns],
        f"{len(shifts)} shifts of four figures, {size}",
        f"a loop over shifts, AUC alone, from {LOOPED_SHIFTS} of them",
        unit="s of CPU",
        most=MOST_S,
        quick=True,
    )


def _evidence() -> Evidence:
    rng = np.random.default_rng(0)
    shape = (N_SESSIONS, N_TICKERS)
    returns = rng.normal(0, 0.02, shape)
    p_up = 1 / (1 + np.exp(-(returns + rng.normal(0, 0.5, shape))))
    up, above = (returns > 0).astype(float), (returns > np.median(returns, axis=1, keepdims=True)).astype(float)
    windows = np.split(session_hit_rate(p_up, above), N_FOLDS)
    return Evidence(
        horizon=HORIZON,
        p_up=p_up,
        base_rate=np.full(shape, 0.5),
        up=up,
        above_median=above,
        forward_return=returns,
        member=np.ones(shape, bool),
        validation_relative=windows,
        test_relative=windows,
        validation_up=windows,
        test_up=windows,
        leaks=(),
    )


# ---------------------------------------------------------------- ours
def _interval(e: Evidence) -> Interval:
    resampling = Resampling.of(GatePolicy(resamples=RESAMPLES), seed=0)
    auc, block = session_auc(e.p_up, e.up), block_length(HORIZON)
    rng = np.random.default_rng(resampling.seed)
    means = resampled_means(auc, block=block, resamples=resampling.resamples, rng=rng)
    lower, upper = np.quantile(means, resampling.levels)
    return Interval(auc.mean(), lower, upper, len(auc) // block)


# ---------------------------------------------------------------- as loops
def _looped_interval(e: Evidence) -> Interval:
    """Moving-block bootstrap in a loop over resamples."""
    auc = np.array([roc_auc_score(up, p_up) for up, p_up in zip(e.up, e.p_up, strict=True)])
    rng, block = np.random.default_rng(1), block_length(HORIZON)
    n_blocks = len(auc) // block
    means = []
    for _ in range(RESAMPLES):
        starts = rng.integers(0, len(auc) - block + 1, n_blocks)
        means.append(np.concatenate([auc[start : start + block] for start in starts]).mean())
    tail = (1 - GatePolicy().confidence) / 2
    lower, upper = np.quantile(means, [tail, 1 - tail])
    return Interval(auc.mean(), lower, upper, n_blocks)


def _looped_null(e: Evidence, shifts: np.ndarray) -> list[float]:
    """Mean AUC at every shift, in a loop."""
    return [float(np.nanmean(session_auc(e.p_up, np.roll(e.up, -shift, axis=0)))) for shift in shifts]
