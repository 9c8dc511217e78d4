"""Definition of a feature: a name, its inputs, one line of documentation and a function of History."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from foundry_tasks.features.history import History
from foundry_tasks.features.windows import Matrix

FeatureSet = Literal["core", "extended"]
Need = Literal["open", "high", "low", "volume", "vix", "sectors", "benchmark", "cross_section"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. `compute` returns (n_sessions, n_tickers) or, if market-wide, (n_sessions, 1) float64."""

    name: str
    doc: str
    """One line, with the unit if there is one. The table in the docs is generated from these lines."""
    compute: Callable[[History], Matrix]
    needs: tuple[Need, ...] = ()
    """Inputs other than closes that the prices must hold; `cross_section` means more than one ticker."""
    feature_set: FeatureSet = "extended"
    """The smallest set that contains the feature."""
    market_wide: bool = False
    """Whether the feature has one value for all tickers of a session."""
