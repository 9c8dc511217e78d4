"""The audit's simulated markets, as tests want them: their prices."""

from typing import Any

from foundry_tasks.audit.simulated_markets import simulate
from foundry_tasks.data.panel import PricePanel


def simulated_market(**how: Any) -> PricePanel:
    """The prices of `simulate`, whose keys these are."""
    return simulate(**how).prices
