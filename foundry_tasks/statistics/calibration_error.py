"""Expected calibration error (ECE) in equal-mass bins, with a bootstrap interval over blocks of sessions."""

import numpy as np

from foundry_tasks.data.panel import FloatArray
from foundry_tasks.statistics.block_means import Interval, block_length
from foundry_tasks.statistics.bootstrap import Resampling, resampled_means

N_BINS = 10


def reliability(p_up: FloatArray, labels: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Per session and bin: sums of P(up), sums of labels, counts, each (n_sessions, N_BINS).

    p_up, labels: (n_sessions, n_tickers). Bins hold equal shares of all rows; equal forecasts share a bin.
    """
    both = np.isfinite(p_up) & np.isfinite(labels)
    edges = np.quantile(p_up[both], np.linspace(0, 1, N_BINS + 1)[1:-1])
    n_sessions = len(p_up)
    session = np.broadcast_to(np.arange(n_sessions)[:, None], p_up.shape)[both]
    cell = session * N_BINS + np.searchsorted(edges, p_up[both], side="right")

    def summed(weights: FloatArray | None) -> FloatArray:
        sums = np.bincount(cell, weights=weights, minlength=n_sessions * N_BINS)
        return sums.reshape(n_sessions, N_BINS).astype(np.float64)

    return summed(p_up[both]), summed(labels[both]), summed(None)


def calibration_error_interval(
    p_up: FloatArray, labels: FloatArray, *, horizon: int, resampling: Resampling
) -> Interval:
    """ECE = Σ_b n_b/n · |mean P(up) − share up|, with its basic bootstrap interval.

    Resampling adds noise to every bin, which raises the ECE; the basic interval (2 × observed − quantile) removes this
    bias. Bounds are clipped at 0.

    p_up, labels: (n_sessions, n_tickers), labels 0 or 1, NaN left out. horizon: sessions that a label spans. Bounds are
    NaN below resampling.min_blocks blocks.
    """
    forecast, outcome, count = reliability(p_up, labels)
    kept = count.sum(axis=1) > 0
    gaps, count = (forecast - outcome)[kept], count[kept]
    observed = float(np.abs(gaps.sum(axis=0)).sum() / count.sum())
    block = block_length(horizon)
    blocks = len(gaps) // block
    if blocks < resampling.min_blocks:
        return Interval(observed, float("nan"), float("nan"), blocks)
    stacked = np.stack([gaps, count], axis=-1)
    rng = np.random.default_rng(resampling.seed)
    means = resampled_means(stacked, block=block, resamples=resampling.resamples, rng=rng)
    resampled = np.abs(means[..., 0]).sum(axis=1) / means[..., 1].sum(axis=1)
    low, high = np.quantile(resampled, resampling.levels)
    return Interval(observed, max(0.0, 2 * observed - float(high)), max(0.0, 2 * observed - float(low)), blocks)
