"""The edge-decay ladder: what one signal earns as it is traded later, held longer and charged more.

Rungs are the entry (same close, next open, next close), the holding (1, 5, 20 sessions) and the cost a side (0, 2, 5,
10 basis points): 36 cells. The same close is a diagnosis and no strategy: it trades at the price that decided, so what it
earns above the next open is what nobody can have. No config can ask for it; this module alone makes such an execution.
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
    """One combination. cost_bp: a side, of what is traded. net: (n_sessions of the ladder,), decimal of the capital."""

    entry: str
    holding_sessions: int
    cost_bp: float
    net: FloatArray

    @property
    def mean_net_bp(self) -> float:
        """Basis points of the capital a session; NaN without sessions."""
        return float(self.net.mean() / BP) if len(self.net) else float("nan")


@dataclass(frozen=True)
class EdgeDecay:
    """The ladder.

    window: the sessions that every cell is measured on, from the one after the first target to the one after the last.
    break_even_bp: (entry, holding) → the cost a side at which the mean net P&L is 0, mean gross over mean turnover;
    negative where there is nothing to spend, NaN where nothing was traded. absent: what could not be traded, and why.
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
    """Entry → how it trades, from the earliest to the latest."""
    executions = {"same_close": Execution(prices.adjusted_close, lag=0)}
    if "open" in prices.fields:
        executions["next_open"] = execution_at("next_open", prices)
    return executions | {"next_close": execution_at("next_close", prices)}


def _traded_sessions(targets: FloatArray) -> slice:
    decided = np.flatnonzero(targets.any(axis=1))
    return slice(int(decided[0]) + 1, int(decided[-1]) + 2) if len(decided) else slice(0, 0)
