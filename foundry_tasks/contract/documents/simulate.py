"""simulate.json: largest difference between forward simulation and backtest, per horizon."""

from typing import ClassVar

from foundry_tasks.contract.documents.base import Figure, HorizonsDocument, Part


class Retrained(Part):
    """A forward simulation whose models are refitted on its own schedule."""

    every_sessions: int
    as_the_folds: bool
    """Whether the schedule is that of the folds. The forecasts must then be equal."""
    forecasts_apart: float
    """Largest difference of a P(up) from that of the folds; 1 where only one of the two has a forecast."""
    net_bp: Figure
    """Mean after costs, in basis points of the capital per session."""


class SimulatedHorizon(Part):
    """The largest difference between simulation and backtest: its size, daily figure and session."""

    value: Figure
    """Decimal of the capital, or positions; None where the figure is NaN in one of the two."""
    figure: str
    """Name of the daily figure; empty without a difference."""
    session: str
    """ISO date; empty without a difference."""
    agrees: bool
    """Whether the difference is within the tolerance."""
    sessions: int
    """Simulated sessions after the first forecast."""
    retrained: Retrained | None = None
    """None for a run without `retrain_sessions`."""


class Simulation(HorizonsDocument[SimulatedHorizon]):
    """Horizon → largest difference between its forward simulation and the backtest."""

    stage: ClassVar[str] = "simulate"
    artifact: ClassVar[str] = "simulate.json"

    tolerance: float
    """Largest difference that rounding can cause."""
