"""simulate.json: how far a forward simulation is from the backtest, per horizon."""

from typing import ClassVar

from foundry_tasks.contract.documents.base import Figure, HorizonsDocument, Part


class Retrained(Part):
    """A simulation whose models were fitted anew on a schedule of its own."""

    every_sessions: int
    as_the_folds: bool
    """Whether the schedule is that of the folds, whose forecasts it must then repeat."""
    forecasts_apart: float
    """Largest difference of a P(up) from that of the folds; 1 where only one of the two has a forecast."""
    net_bp: Figure
    """Mean after costs, in basis points of the capital a session."""


class SimulatedHorizon(Part):
    """Where simulation and backtest are farthest apart: by how much, in which daily figure, and when."""

    value: Figure
    """Decimal of the capital, or positions; None where a figure is not a number in one of the two."""
    figure: str
    """Empty where nothing is apart."""
    session: str
    """ISO date, empty where nothing is apart."""
    agrees: bool
    """Whether the difference is within the tolerance."""
    sessions: int
    """Simulated sessions that earn."""
    retrained: Retrained | None = None
    """None where the run asked for the replay alone."""


class Simulation(HorizonsDocument[SimulatedHorizon]):
    """Horizon → how far its forward simulation is from the backtest."""

    stage: ClassVar[str] = "simulate"
    artifact: ClassVar[str] = "simulate.json"

    tolerance: float
    """Largest difference that rounding explains."""
