"""Calibration of P(up): slope of the outcome on the forecast's logits, and mean outcome minus mean forecast.

Cox (1958) regresses the outcome on the logit of the forecast: a calibrated forecast has slope 1, an overconfident one a
smaller slope, one without skill 0, an inverted one −1. The shares of up labels differ between sessions far more than
forecasts do, so outcome and logits are demeaned within each session. The slope then judges what P(up) says of tickers, and the
gap of the means what it says of the market.
"""

import numpy as np

from foundry_tasks.data.panel import BoolArray, FloatArray
from foundry_tasks.statistics.block_means import BlockRule, Interval, mean_interval, ratio_interval

MIN_DISPERSION = 1e-6
"""A session whose P(up) has a smaller standard deviation has no slope."""
LEAST_P_UP = 1e-4
"""Logits are computed from P(up) within [LEAST_P_UP, 1 − LEAST_P_UP]; those of 0 and 1 are infinite."""


def calibration_slope(p_up: FloatArray, labels: FloatArray, *, horizon: int, rule: BlockRule) -> Interval:
    """Slope Σ (l − l̄)(y − ȳ) / Σ (l − l̄)(p − p̄) of outcomes y on logits l of P(up) p, with its interval.

    The denominator is the numerator that a calibrated forecast expects, since then E[y | p] = p; the slope is 1 for any
    dispersion. If the dispersion is small, p − p̄ = p (1 − p)(l − l̄), and the slope is the first step of a logistic
    regression from slope 1: logits that are k-fold too large have a slope of 1/k.

    p_up, labels: (n_sessions, n_tickers), labels 0 or 1, NaN left out. Bars are means of a session. horizon: sessions that a
    label spans. Sessions without dispersion of P(up) are left out; the value is NaN if all are. Bounds are NaN below
    rule.min_blocks blocks.
    """
    known = np.isfinite(p_up) & np.isfinite(labels)
    forecast = _demeaned(p_up, known)
    within = np.clip(np.where(known, p_up, 0.5), LEAST_P_UP, 1 - LEAST_P_UP)
    logits = _demeaned(np.log(within / (1 - within)), known)
    spread = np.square(forecast).sum(axis=1) > MIN_DISPERSION**2 * known.sum(axis=1)
    numerator = (logits * _demeaned(labels, known)).sum(axis=1)
    denominator = (logits * forecast).sum(axis=1)
    return ratio_interval(numerator[spread], denominator[spread], horizon=horizon, rule=rule)


def calibration_gap(p_up: FloatArray, labels: FloatArray, *, horizon: int, rule: BlockRule) -> Interval:
    """Mean outcome minus mean P(up) over sessions, with its interval; arguments as in `calibration_slope`."""
    known = np.isfinite(p_up) & np.isfinite(labels)
    count = known.sum(axis=1)
    gap = np.where(known, labels - p_up, 0.0).sum(axis=1)
    return mean_interval(np.where(count > 0, gap / np.maximum(count, 1), np.nan), horizon=horizon, rule=rule)


def _demeaned(values: FloatArray, known: BoolArray) -> FloatArray:
    """Values minus their mean within the session; 0 where not known."""
    kept = np.where(known, values, 0.0)
    mean = kept.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(known, kept - mean, 0.0)
