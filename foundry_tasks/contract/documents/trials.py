"""Documents of the trial ledger. They belong to the store, not to a stage."""

from collections.abc import Mapping

from pydantic import JsonValue

from foundry_tasks.contract.documents.base import Part


class TrialOutcome(Part):
    """A configuration at a horizon and its P&L. Equal outcomes are one trial; their digest is its key in the store."""

    what: Mapping[str, JsonValue]
    """The trial's conf, flat, and `scores`: which scores of the run were traded."""
    horizon: int
    sessions: tuple[str, ...]
    """ISO dates, ascending."""
    pnl: tuple[float, ...]
    """P&L of each session, decimal of the capital, after costs."""


class TrialRecord(TrialOutcome):
    """A trial in the store."""

    code: str
    """Version of the package."""
    run: str
    """`<dag>/<run_id>` of the run that recorded it first."""
    recorded: str
    """Time of recording, ISO 8601."""
    sharpe: float
    """Sharpe ratio per session."""
