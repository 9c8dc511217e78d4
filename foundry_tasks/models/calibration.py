"""Calibration: scores → P(up). Scores rank the tickers of a session; P(up) is a probability.

The default is P(up) = σ(logit(base rate) + slope · score). The slope is fitted against the relative label and clipped at
≥ 0; the base rate is the one known at the session. Measured alternatives: Platt's intercept, fitted on a short window,
inverted folds; isotonic regression made the Brier score worse.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from pydantic import JsonValue

from foundry_tasks.contract.config import Calibration
from foundry_tasks.data.panel import FloatArray

_EPSILON = 1e-6
_NEWTON_STEPS = 50


class Calibrator(Protocol):
    """A fitted map from scores and base rates to P(up)."""

    @property
    def kind(self) -> Calibration:
        """The name of the calibrator in a config."""

    def p_up(self, scores: FloatArray, base_rate: FloatArray) -> FloatArray:
        """Probability that the label is up. scores, base_rate: arrays of equal shape; P(up) has that shape, NaN stays NaN."""

    def as_dict(self) -> dict[str, JsonValue]:
        """The calibrator as a JSON object, for a bundle."""


@dataclass(frozen=True)
class BaseRateSlope:
    """P(up) = σ(logit(base rate) + slope · score)."""

    slope: float
    kind: Calibration = "base_rate_slope"

    def p_up(self, scores: FloatArray, base_rate: FloatArray) -> FloatArray:
        """σ(logit(base_rate) + slope · scores), elementwise; NaN stays NaN.

        >>> BaseRateSlope(slope=0.5).p_up(np.array([-1.0, 0.0, 1.0]), np.full(3, 0.5)).round(3).tolist()
        [0.378, 0.5, 0.622]
        """
        return _sigmoid(_logit(base_rate) + self.slope * scores)

    def as_dict(self) -> dict[str, JsonValue]:
        """Kind and slope as a JSON object, for a bundle."""
        return asdict(self)


@dataclass(frozen=True)
class Logistic:
    """P(up) = σ(intercept + Σ wᵢ·xᵢ): Platt (1999) with x = score; beta calibration (Kull 2017) with x = ln p, −ln(1 − p)."""

    weights: tuple[float, ...]
    intercept: float
    kind: Calibration

    def p_up(self, scores: FloatArray, base_rate: FloatArray) -> FloatArray:  # noqa: ARG002 - fitted without it
        """Elementwise; ignores `base_rate`. NaN stays NaN."""
        columns = _columns(self.kind, scores)
        total = sum(
            (w * x for w, x in zip(self.weights, columns, strict=True)), start=np.full_like(scores, self.intercept)
        )
        return _sigmoid(total)

    def as_dict(self) -> dict[str, JsonValue]:
        """Kind, intercept and weights as a JSON object, for a bundle."""
        return asdict(self)


@dataclass(frozen=True)
class Isotonic:
    """Isotonic regression, interpolated linearly between the fitted thresholds. Zadrozny and Elkan (2002)."""

    thresholds: tuple[float, ...]
    values: tuple[float, ...]
    kind: Calibration = "isotonic"

    def p_up(self, scores: FloatArray, base_rate: FloatArray) -> FloatArray:  # noqa: ARG002 - fitted without it
        """Elementwise, constant outside the fitted scores; ignores `base_rate`. NaN stays NaN."""
        result: FloatArray = np.interp(scores, self.thresholds, self.values)
        return np.where(np.isfinite(scores), result, np.nan)

    def as_dict(self) -> dict[str, JsonValue]:
        """Kind, thresholds and values as a JSON object, for a bundle."""
        return asdict(self)


def fit_calibrator(
    kind: Calibration, scores: FloatArray, *, up: FloatArray, above_median: FloatArray, sessions: int
) -> Calibrator:
    """Fit a calibrator on out-of-fold scores in the order of time.

    scores, up, above_median: (n_sessions, n_tickers), labels 0 or 1, NaN where unknown. The default uses all sessions and
    `above_median`; Platt, isotonic and beta use `up` and the last `sessions` sessions that have scores and labels.
    """
    if kind == "base_rate_slope":
        return BaseRateSlope(slope=max(0.0, fit_slope(scores, above_median)))
    held = np.flatnonzero((np.isfinite(scores) & np.isfinite(up)).any(axis=1))[-sessions:]
    known = np.isfinite(scores[held]) & np.isfinite(up[held])
    x, y = scores[held][known], up[held][known]
    if kind == "isotonic":
        from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - slow to import and rarely used

        fitted = IsotonicRegression(y_min=_EPSILON, y_max=1 - _EPSILON, out_of_bounds="clip").fit(x, y)
        return Isotonic(tuple(map(float, fitted.X_thresholds_)), tuple(map(float, fitted.y_thresholds_)))
    weights, intercept = _logistic_fit(_columns(kind, x), y, intercept=True)
    return Logistic(tuple(weights), intercept, kind)


def fit_slope(scores: FloatArray, above_median: FloatArray) -> float:
    """Slope of the log-odds of the relative label on the score: a logistic regression without intercept; 0 without rows.

    scores, above_median: (n_sessions, n_tickers), labels 0 or 1; rows with NaN are dropped.
    """
    known = np.isfinite(scores) & np.isfinite(above_median)
    weights, _ = _logistic_fit([scores[known]], above_median[known], intercept=False)
    return weights[0]


def calibrator_from_dict(document: Mapping[str, JsonValue]) -> Calibrator:
    """The inverse of `as_dict`."""
    fields = {k: tuple(value) if isinstance(value, list) else value for k, value in document.items()}
    by_kind: dict[str, Callable[..., Calibrator]] = {
        "base_rate_slope": BaseRateSlope, "platt": Logistic, "beta": Logistic, "isotonic": Isotonic,
    }  # fmt: skip
    return by_kind[str(document["kind"])](**fields)


def expanding_base_rate(up: FloatArray, label_span: int) -> FloatArray:
    """Share of up labels known at each session: mean over the sessions at least `label_span` sessions before.

    up: (n_sessions, n_tickers), 0 or 1, NaN where unknown. Returns (n_sessions,); ½ until the first label is known.
    Sessions have equal weights.

    >>> expanding_base_rate(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), 1).tolist()
    [0.5, 0.5, 0.75]
    """
    count = np.isfinite(up).sum(axis=1)
    share = np.where(count > 0, np.nansum(up, axis=1) / np.maximum(count, 1), 0.0)
    total, sessions = np.cumsum(share), np.cumsum(count > 0)
    rate = np.full(len(up), 0.5)
    if len(up) > label_span:
        known = sessions[:-label_span]
        rate[label_span:] = np.where(known > 0, total[:-label_span] / np.maximum(known, 1), 0.5)
    clipped: FloatArray = np.clip(rate, _EPSILON, 1 - _EPSILON)
    return clipped


def _columns(kind: Calibration, scores: FloatArray) -> list[FloatArray]:
    if kind == "beta":
        p = np.clip(_sigmoid(scores), _EPSILON, 1 - _EPSILON)
        return [np.log(p), -np.log1p(-p)]
    return [scores]


def _logistic_fit(columns: list[FloatArray], y: FloatArray, *, intercept: bool) -> tuple[list[float], float]:
    """Maximum likelihood by Newton's method, with a small ridge penalty that keeps the weights of separable data finite."""
    if len(y) == 0:
        return [0.0] * len(columns), 0.0
    x = np.column_stack([*columns, *([np.ones(len(y))] if intercept else [])])
    w = np.zeros(x.shape[1])
    ridge = 1e-6 * len(y) * np.eye(x.shape[1])
    for _ in range(_NEWTON_STEPS):
        p = _sigmoid(x @ w)
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + ridge, x.T @ (y - p) - ridge @ w)
        w += step
        if np.abs(step).max() < 1e-10:
            break
    return [float(item) for item in w[: len(columns)]], float(w[-1]) if intercept else 0.0


def _logit(p: FloatArray) -> FloatArray:
    return np.log(p) - np.log1p(-p)


def _sigmoid(x: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(-x))
