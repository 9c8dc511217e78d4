"""What a feature is: a name, what it needs, one line of documentation and a function of History."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from foundry_tasks.features.history import History
from foundry_tasks.features.windows import Matrix

FeatureSet = Literal["core", "extended"]
Need = Literal["open", "high", "low", "volume", "vix", "sectors", "benchmark", "cross_section"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. `compute` gives (n_sessions, n_tickers) or, for the whole market, (n_sessions, 1), float64."""

    name: str
    doc: str
    """One line, with the unit where there is one; the docs table is made of these."""
    compute: Callable[[History], Matrix]
    needs: tuple[Need, ...] = ()
    """What the prices have to hold beside closes; `cross_section` is more than one ticker."""
    feature_set: FeatureSet = "extended"
    """The smallest set that holds it."""
    rescaling_sensitive: bool = False
    """Whether it changes when a ticker's whole price history is multiplied by a constant, as later splits do."""
    market_wide: bool = False
    """Whether it is the same for every ticker of a session."""
