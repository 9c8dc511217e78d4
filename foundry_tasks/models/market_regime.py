"""The market's regime at session t, calm or turbulent, by a volatility known at the close of t. Optional switches use it."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import BoolArray, FeatureSource, FloatArray

VOLATILITY = "market_vol_20d"
"""The feature that determines the regime of a session."""
REGIME_NAMES = ("calm", "turbulent")


@dataclass(frozen=True)
class RegimeSplit:
    """A session is turbulent if its market volatility is above `threshold`, calm if not, unknown if the volatility is NaN."""

    threshold: float

    @classmethod
    def fitted(cls, volatility: FloatArray) -> "RegimeSplit":
        """Split at the median. volatility: (n_sessions,), of a fit window, never of later sessions."""
        known = volatility[np.isfinite(volatility)]
        return cls(float(np.median(known)) if len(known) else float("inf"))

    def members(self, volatility: FloatArray) -> tuple[BoolArray, BoolArray]:
        """Masks of the calm and of the turbulent sessions, of the volatility's shape; both False where it is NaN."""
        return volatility <= self.threshold, volatility > self.threshold


def market_volatility(features: FeatureSource) -> npt.NDArray[np.float64]:
    """Market volatility of each session, (n_sessions,): its first finite value, NaN if none or if the panel lacks it."""
    if VOLATILITY not in features.names:
        return np.full(len(features.sessions), np.nan)
    return first_known(features[VOLATILITY])


def first_known(values: FloatArray) -> npt.NDArray[np.float64]:
    """A market-wide feature as a series, (n_sessions, n_tickers) → (n_sessions,): each session's first finite value."""
    first = np.isfinite(values).argmax(axis=1)
    series: npt.NDArray[np.float64] = values[np.arange(len(values)), first].astype(np.float64)
    return series


def need_volatility(features: Collection[str], switch: str) -> None:
    """Check that the features include VOLATILITY, which `switch` needs. Raises ConfigError if they do not."""
    if VOLATILITY not in features:
        raise ConfigError(
            f"{switch}=true needs the feature {VOLATILITY}, which this run lacks. Set feature_set=extended and bring a "
            f"benchmark, or switch {switch} off."
        )
