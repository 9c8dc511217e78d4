"""Replay of a backtest's forecasts in the forward simulator; without a leak the daily figures are the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.evaluation.simulated_exchange import Day

TOLERANCE = 1e-9
"""In decimals of the capital, or positions. A larger difference is a leak or a fault, not rounding."""


@dataclass(frozen=True)
class ReplayedForecasts:
    """A strategy that sizes given forecasts, each session's from that session's row only.

    p_up: (n_forecasts, n_tickers). first_session: index of the session after which the first row was made. config: the
    sizing. Sessions without a row have target weights of 0.
    """

    p_up: FloatArray
    first_session: int
    config: BacktestConfig

    def fit(self, known: PricePanel) -> None:
        """Do nothing: the forecasts are given."""

    def targets(self, known: PricePanel) -> FloatArray:
        """Weights wanted after the last session of `known`.

        Returns (n_tickers,), decimal of capital.
        """
        row = len(known.sessions) - 1 - self.first_session
        if not 0 <= row < len(self.p_up):
            return np.zeros(len(known.tickers))
        weights: FloatArray = target_weights(self.p_up[row : row + 1], known.member[-1:], self.config)[0]
        return weights


@dataclass(frozen=True, slots=True)
class Difference:
    """The largest absolute difference of two runs' daily figures, with the figure's name and the session."""

    value: float
    figure: str
    session: str

    @property
    def agrees(self) -> bool:
        """Whether the difference is at most TOLERANCE."""
        return self.value <= TOLERANCE


def largest_difference(days: Sequence[Day], daily: Mapping[str, FloatArray], figures: Sequence[str]) -> Difference:
    """Largest difference between simulated days and a backtest's daily columns, over the named figures.

    days: n_sessions simulated days. daily: figure → (n_sessions,), of the same sessions. A figure that is not finite on
    either side counts as an infinite difference. Without days the difference is 0.
    """
    largest = Difference(0.0, "", "")
    for figure in figures:
        simulated = np.array([getattr(day, figure) for day in days], dtype=np.float64)
        apart = np.abs(simulated - daily[figure])
        apart = np.where(np.isfinite(apart), apart, np.inf)
        at = int(apart.argmax()) if len(apart) else 0
        if len(apart) and apart[at] > largest.value:
            largest = Difference(float(apart[at]), figure, days[at].session)
    return largest
