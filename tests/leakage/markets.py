"""Prices of the audit's simulated markets."""

from typing import Any

from foundry_tasks.audit.simulated_markets import simulate
from foundry_tasks.data.panel import PricePanel


def simulated_market(**how: Any) -> PricePanel:
    """The prices of `simulate`, with its keys."""
    return simulate(**how).prices
