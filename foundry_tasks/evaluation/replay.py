"""A backtest's forecasts once more, session by session: whoever sees only what there was must come to the same figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.evaluation.simulated_exchange import Day

TOLERANCE = 1e-9
"""Decimals of the capital, or positions: a larger difference is no rounding but a leak or a fault."""


@dataclass(frozen=True)
class ReplayedForecasts:
    """The strategy that sizes forecasts made elsewhere, each session's from that session's alone.

    first_session: index of the session that the first row of p_up, (n_forecasts, n_tickers), was made after. Where there are
    no more of them it wants nothing.
    """

    p_up: FloatArray
    first_session: int
    config: BacktestConfig

    def fit(self, known: PricePanel) -> None:
        """There is nothing to learn."""

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
    """The largest absolute difference of two runs' daily figures, and where it is."""

    value: float
    figure: str
    session: str

    @property
    def agrees(self) -> bool:
        """Whether rounding explains it."""
        return self.value <= TOLERANCE


def largest_difference(days: Sequence[Day], daily: Mapping[str, FloatArray], figures: Sequence[str]) -> Difference:
    """The simulated days against a backtest's daily columns of the same sessions, over the named figures.

    A figure that is not a number on either side counts as infinitely far, since nothing then agrees.

    daily: figure → (n_sessions,), of the sessions of `days`. Without days nothing differs: 0.
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
