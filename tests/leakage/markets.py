"""The audit's simulated markets, as tests want them: their prices."""

from foundry_tasks.data.panel import PricePanel
from foundry_tasks.validation.simulated_markets import simulate


def simulated_market(**how) -> PricePanel:
    """The prices of `simulate`, whose keys these are."""
    return simulate(**how).prices
