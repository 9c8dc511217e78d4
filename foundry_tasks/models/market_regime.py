"""The market's regime, for the switches that ask for one: calm or turbulent, by a volatility known at the close of t."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import BoolArray, FeatureSource, FloatArray

VOLATILITY = "market_vol_20d"
"""The feature that says which regime a session is in."""
REGIME_NAMES = ("calm", "turbulent")


@dataclass(frozen=True)
class RegimeSplit:
    """Turbulent is a session whose market volatility is above `threshold`; unknown one without a volatility."""

    threshold: float

    @classmethod
    def fitted(cls, volatility: FloatArray) -> "RegimeSplit":
        """Split at the median of (n_sessions,) volatilities: those of a fit window, never of later sessions."""
        known = volatility[np.isfinite(volatility)]
        return cls(float(np.median(known)) if len(known) else float("inf"))

    def members(self, volatility: FloatArray) -> tuple[BoolArray, BoolArray]:
        """Which of the volatilities are calm, and which turbulent; of the volatility's shape, neither where it is NaN."""
        return volatility <= self.threshold, volatility > self.threshold


def market_volatility(features: FeatureSource) -> npt.NDArray[np.float64]:
    """Each session's, (n_sessions,): the first that a ticker has; NaN where none has, or where the panel lacks it."""
    if VOLATILITY not in features.names:
        return np.full(len(features.sessions), np.nan)
    return first_known(features[VOLATILITY])


def first_known(values: FloatArray) -> npt.NDArray[np.float64]:
    """A market-wide feature as a series, (n_sessions, n_tickers) → (n_sessions,): each session's first finite value."""
    first = np.isfinite(values).argmax(axis=1)
    series: npt.NDArray[np.float64] = values[np.arange(len(values)), first].astype(np.float64)
    return series


def need_volatility(features: Collection[str], switch: str) -> None:
    """Raises ConfigError where a switch asks for regimes and the run's features cannot tell them."""
    if VOLATILITY not in features:
        raise ConfigError(
            f"{switch}=true needs the feature {VOLATILITY}, which this run lacks. Set feature_set=extended and bring a "
            f"benchmark, or switch {switch} off."
        )
