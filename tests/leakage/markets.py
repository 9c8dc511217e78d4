"""The package's simulated markets, under the name that the tests know them by."""

from foundry_tasks.validation.simulated_markets import nyse_sessions, simulated_market

__all__ = ["nyse_sessions", "simulated_market"]
