"""Optional adjustment of P(up) to the market's regime: a factor on the scores and a shift of the base rate's logit.

Both are fitted on sessions before those that they are applied to. They are shrunk towards no adjustment: a regime has only
a few hundred sessions, which are not independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from foundry_tasks.data.panel import BoolArray, FloatArray
from foundry_tasks.models.calibration import fit_slope
from foundry_tasks.models.market_regime import REGIME_NAMES, RegimeSplit

PRIOR_SESSIONS = 250
"""Weight of the common slope or rate in the shrinkage, in sessions; a regime's own has the weight of its sessions."""
MAX_FACTOR = 3.0
"""Upper bound of a factor: its denominator, the common slope, can be close to zero."""


class SavedAdjustment(TypedDict):
    """The adjustment as a JSON object; factors and shifts: calm, turbulent."""

    threshold: float
    factors: Sequence[float]
    shifts: Sequence[float]


@dataclass(frozen=True)
class RegimeAdjustment:
    """Factors on the scores and shifts of the base rate's logit, each for calm and turbulent sessions.

    threshold: market volatility above which a session is turbulent. Factors (1, 1) and shifts (0, 0) change nothing, and
    sessions of unknown regime are not changed.
    """

    threshold: float
    factors: tuple[float, float] = (1.0, 1.0)
    shifts: tuple[float, float] = (0.0, 0.0)

    def scaled(self, scores: FloatArray, volatility: FloatArray) -> FloatArray:
        """Scores times the factor of their session's regime, (n_sessions, n_tickers).

        scores: (n_sessions, n_tickers). volatility: (n_sessions,). A factor above 0 keeps the ranking within a session.
        """
        return scores * self._of(volatility, self.factors, 1.0)[:, None]

    def rate(self, base_rate: FloatArray, volatility: FloatArray) -> FloatArray:
        """σ(logit(base_rate) + shift of the session's regime), (n_sessions,). base_rate, volatility: (n_sessions,)."""
        odds = base_rate / (1 - base_rate) * np.exp(self._of(volatility, self.shifts, 0.0))
        moved: FloatArray = odds / (1 + odds)
        return moved

    def _of(self, volatility: FloatArray, values: tuple[float, float], unknown: float) -> FloatArray:
        calm, turbulent = RegimeSplit(self.threshold).members(volatility)
        return np.select([calm, turbulent], values, unknown)

    def __str__(self) -> str:
        parts = []
        if self.factors != (1.0, 1.0):
            parts.append(_by_regime("{} sessions' scores × {:.2f}", self.factors))
        if self.shifts != (0.0, 0.0):
            parts.append(_by_regime("{} sessions' intercept {:+.3f}", self.shifts).replace("-", "−"))
        return "; ".join(parts) or "no difference between regimes that it could have learned"

    def as_dict(self) -> SavedAdjustment:
        """The adjustment as a JSON object."""
        return {"threshold": self.threshold, "factors": self.factors, "shifts": self.shifts}

    @classmethod
    def from_dict(cls, document: SavedAdjustment) -> "RegimeAdjustment":
        """The inverse of `as_dict`."""
        (calm_factor, turbulent_factor), (calm_shift, turbulent_shift) = document["factors"], document["shifts"]
        return cls(document["threshold"], (calm_factor, turbulent_factor), (calm_shift, turbulent_shift))


def fit_adjustment(
    scores: FloatArray,
    volatility: FloatArray,
    *,
    up: FloatArray,
    above_median: FloatArray,
    scale: bool,
    intercept: bool,
) -> RegimeAdjustment:
    """Fit the adjustment on past sessions.

    factor of a regime = its shrunk slope against the relative label / common slope, clipped to [0, MAX_FACTOR].
    shift of a regime = logit(its shrunk base rate) − logit(overall base rate).

    scores: out of fold. scores, up, above_median: (n_sessions, n_tickers), NaN where unknown. volatility: (n_sessions,).
    scale, intercept: whether factors and shifts are fitted.
    """
    split = RegimeSplit.fitted(volatility)
    regimes = split.members(volatility)
    factors = _factors(scores, above_median, regimes) if scale else (1.0, 1.0)
    shifts = _shifts(up, regimes) if intercept else (0.0, 0.0)
    return RegimeAdjustment(split.threshold, factors, shifts)


def _factors(scores: FloatArray, above_median: FloatArray, regimes: tuple[BoolArray, BoolArray]) -> tuple[float, float]:
    common = fit_slope(scores, above_median)
    if common <= 0:
        return 1.0, 1.0

    def factor(regime: BoolArray) -> float:
        sessions = int((np.isfinite(scores[regime]) & np.isfinite(above_median[regime])).any(axis=1).sum())
        own = fit_slope(scores[regime], above_median[regime])
        return float(np.clip(_shrunk(own, common, sessions) / common, 0.0, MAX_FACTOR))

    return factor(regimes[0]), factor(regimes[1])


def _shifts(up: FloatArray, regimes: tuple[BoolArray, BoolArray]) -> tuple[float, float]:
    """Shifts of the calm and turbulent sessions. Sessions have equal weights, as in the base rate itself."""
    count = np.isfinite(up).sum(axis=1)
    share = np.nansum(up, axis=1) / np.maximum(count, 1)
    if not count.any():
        return 0.0, 0.0
    overall = float(share[count > 0].mean())

    def shift(regime: BoolArray) -> float:
        known = share[regime & (count > 0)]
        own = float(known.mean()) if len(known) else overall
        return _logit(_shrunk(own, overall, len(known))) - _logit(overall)

    return shift(regimes[0]), shift(regimes[1])


def _shrunk(own: float, common: float, sessions: int) -> float:
    return (sessions * own + PRIOR_SESSIONS * common) / (sessions + PRIOR_SESSIONS)


def _logit(rate: float) -> float:
    rate = min(max(rate, 1e-6), 1 - 1e-6)
    return float(np.log(rate / (1 - rate)))


def _by_regime(form: str, values: tuple[float, float]) -> str:
    return ", ".join(form.format(name, value) for name, value in zip(REGIME_NAMES, values, strict=True))
