"""Figures of the plots, computed from a horizon's forecasts; plain numbers, None where undefined."""

import numpy as np

from foundry_tasks.contract.documents.report_gates import ReliabilityBin, SessionFigures
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation import metrics
from foundry_tasks.report.report_inputs import Forecasts
from foundry_tasks.statistics.block_means import block_length
from foundry_tasks.statistics.bootstrap import resampled_means
from foundry_tasks.statistics.calibration_error import reliability

ROLLING_SESSIONS = 63
"""A quarter of a year."""
CONFIDENCE = 0.95
_RESAMPLES = 1000
_SEED = 7


def session_figures(forecasts: Forecasts, horizon: int) -> SessionFigures:
    """All figures that are drawn over sessions or over bins of P(up). horizon: in sessions."""
    auc = metrics.session_auc(forecasts.p_up, forecasts.up)
    window = min(ROLLING_SESSIONS, max(len(auc) // 6, 5))
    rank_ic = {
        entry: metrics.session_rank_ic(forecasts.p_up, returns)
        for entry, returns in forecasts.returns.items()
        if np.isfinite(returns).any()
    }
    first = next(iter(rank_ic.values()), np.array([]))
    return SessionFigures(
        sessions=tuple(str(day) for day in forecasts.sessions.astype("datetime64[D]")),
        fold_stops=tuple(int(stop) for stop in forecasts.fold_stops),
        auc=numbers(auc),
        auc_rolling=numbers(rolling_mean(auc, window)),
        rolling_sessions=window,
        cumulative_rank_ic={entry: numbers(cumulative(series)) for entry, series in rank_ic.items()},
        chance_band=numbers(chance_band(first, horizon)),
        reliability=tuple(reliability_bins(forecasts, horizon)),
    )


def numbers(values: FloatArray, digits: int = 5) -> tuple[float | None, ...]:
    """A vector for JSON: rounded to `digits` decimals, None for values that are not finite."""
    return tuple(round(float(value), digits) if np.isfinite(value) else None for value in values)


def rolling_mean(series: FloatArray, window: int) -> FloatArray:
    """Mean of the last `window` sessions, NaN left out; NaN until half a window is known. Shape of `series`."""
    known = np.isfinite(series)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, series, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    stops = np.arange(1, len(series) + 1)
    starts = np.maximum(stops - window, 0)
    count = counts[stops] - counts[starts]
    mean: FloatArray = (sums[stops] - sums[starts]) / np.maximum(count, 1)
    return np.where(2 * count >= window, mean, np.nan)


def cumulative(series: FloatArray) -> FloatArray:
    """Running sum, shape of `series`. A session without a figure adds nothing and is NaN, so that the line breaks there."""
    known = np.isfinite(series)
    return np.where(known, np.cumsum(np.where(known, series, 0.0)), np.nan)


def chance_band(series: FloatArray, horizon: int) -> FloatArray:
    """Half-width of the 95 % band of a running sum without skill, by session: 1.96·√(t·v).

    series: (n_sessions,), NaN where a session has no figure. v is the long-run variance of the session figures, computed from
    sums over overlapping blocks of `block_length`, since forward returns of neighbouring sessions overlap. Bartlett
    (1950). NaN below three blocks.
    """
    known = series[np.isfinite(series)]
    block = block_length(horizon)
    if len(known) < 3 * block:
        return np.full(len(series), np.nan)
    sums = np.concatenate([[0.0], np.cumsum(known - known.mean())])
    variance = float(np.square(sums[block:] - sums[:-block]).mean()) / block
    band: FloatArray = 1.96 * np.sqrt(np.cumsum(np.isfinite(series)) * variance)
    return band


def reliability_bins(forecasts: Forecasts, horizon: int) -> list[ReliabilityBin]:
    """For each equal-mass bin of P(up): mean P(up), share up with its bootstrap interval, number of rows."""
    if not (np.isfinite(forecasts.p_up) & np.isfinite(forecasts.up)).any():
        return []
    sums = np.stack(reliability(forecasts.p_up, forecasts.up), axis=-1)
    kept = sums[sums[:, :, 2].sum(axis=1) > 0]
    means = resampled_means(kept, block=block_length(horizon), resamples=_RESAMPLES, rng=np.random.default_rng(_SEED))
    tail = (1 - CONFIDENCE) / 2
    bins = []
    for index, (forecast, outcome, count) in enumerate(kept.sum(axis=0)):
        if count == 0:
            continue
        drawn = means[:, index][means[:, index, 2] > 0]
        lower, upper = np.quantile(drawn[:, 1] / drawn[:, 2], [tail, 1 - tail])
        p_up, share_up, low, high = (round(float(one), 5) for one in (forecast / count, outcome / count, lower, upper))
        bins.append(ReliabilityBin(p_up=p_up, share_up=share_up, lower=low, upper=high, rows=int(count)))
    return bins
