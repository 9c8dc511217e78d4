"""A document of the trial ledger, which belongs to the store and to no stage."""

from collections.abc import Mapping

from pydantic import JsonValue

from foundry_tasks.contract.documents.base import Part


class TrialOutcome(Part):
    """A configuration at a horizon and what it earned: equal outcomes are one trial, found under their digest."""

    what: Mapping[str, JsonValue]
    """The conf that made it, flat, and `scores`, which of a run's scores were traded."""
    horizon: int
    sessions: tuple[str, ...]
    """ISO dates, ascending."""
    pnl: tuple[float, ...]
    """Of each session, decimal of the capital, after costs."""


class TrialRecord(TrialOutcome):
    """A trial as it is kept."""

    code: str
    """Version of the package."""
    run: str
    """`<dag>/<run_id>` that was first."""
    recorded: str
    """When, ISO 8601."""
    sharpe: float
    """Per session."""
