"""Edge-decay ladder: net P&L of one signal by entry, holding period and cost.

36 cells: entry (same close, next open, next close) × holding (1, 5, 20 sessions) × cost a side (0, 2, 5, 10 basis
points). The same close is a diagnostic and no strategy: it trades at the price on which the decision is based, so its
P&L above that of the next open cannot be earned. No config selects it; only this module creates such an execution.
"""

from dataclasses import dataclass

import numpy as np

from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.evaluation.costs import BP
from foundry_tasks.evaluation.tranches import Execution, execution_at, hold_tranches

HOLDINGS_SESSIONS = (1, 5, 20)
COSTS_BP = (0.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class LadderCell:
    """One cell. cost_bp: a side, of the value traded. net: (n_sessions of the ladder,), decimal of the capital."""

    entry: str
    holding_sessions: int
    cost_bp: float
    net: FloatArray

    @property
    def mean_net_bp(self) -> float:
        """Mean net P&L of a session, basis points of the capital; NaN without sessions."""
        return float(self.net.mean() / BP) if len(self.net) else float("nan")


@dataclass(frozen=True)
class EdgeDecay:
    """The ladder.

    window: sessions of every cell, from the one after the first target to the one after the last. break_even_bp: (entry,
    holding) → cost a side at which the mean net P&L is 0: mean gross / mean turnover; negative if the gross P&L is, NaN
    where nothing was traded. absent: entries that could not be traded, with the reason.
    """

    window: slice
    cells: tuple[LadderCell, ...]
    break_even_bp: dict[tuple[str, int], float]
    absent: tuple[str, ...]


def edge_decay_ladder(prices: PricePanel, targets: FloatArray) -> EdgeDecay:
    """All cells of one signal. targets: (n_sessions, n_tickers), from `target_weights`."""
    window = _traded_sessions(targets)
    cells, break_even_bp = [], {}
    executions = _executions(prices)
    for entry, execution in executions.items():
        for holding in HOLDINGS_SESSIONS:
            holdings = hold_tranches(prices, targets, execution, holding_sessions=holding)
            gross, turnover = holdings.gross[window], holdings.turnover[window]
            cells += [LadderCell(entry, holding, cost_bp, gross - cost_bp * BP * turnover) for cost_bp in COSTS_BP]
            traded = turnover.sum()
            break_even_bp[entry, holding] = float(gross.sum() / traded / BP) if traded else float("nan")
    absent = () if "next_open" in executions else ("next_open: the prices hold no open",)
    return EdgeDecay(window, tuple(cells), break_even_bp, absent)


def _executions(prices: PricePanel) -> dict[str, Execution]:
    """Entry → its execution, from the earliest to the latest."""
    executions = {"same_close": Execution(prices.adjusted_close, lag=0)}
    if "open" in prices.fields:
        executions["next_open"] = execution_at("next_open", prices)
    return executions | {"next_close": execution_at("next_close", prices)}


def _traded_sessions(targets: FloatArray) -> slice:
    decided = np.flatnonzero(targets.any(axis=1))
    return slice(int(decided[0]) + 1, int(decided[-1]) + 2) if len(decided) else slice(0, 0)
