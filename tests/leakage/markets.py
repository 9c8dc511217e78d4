"""The audit's simulated markets, as tests want them: their prices."""

from typing import Any

from foundry_tasks.data.panel import PricePanel
from foundry_tasks.validation.simulated_markets import simulate


def simulated_market(**how: Any) -> PricePanel:
    """The prices of `simulate`, whose keys these are."""
    return simulate(**how).prices
