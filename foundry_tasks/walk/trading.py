"""The forecasts as they can be traded: returns from the market's first tradable entry, and the standard portfolio."""

from collections.abc import Callable
from dataclasses import dataclass

from foundry_tasks.contract.config import Entry
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.evaluation.standard_portfolio import StandardTrades, open_share, standard_trades


@dataclass(frozen=True, slots=True)
class Trading:
    """Returns that are left after the decision, and what the standard portfolio makes of them.

    open_share: share of the forecasts of members whose ticker has an open in the next session. forward_return: (n_sessions,
    n_tickers), decimal, from the first tradable entry, on the sessions of the forecasts. portfolio: trades at this entry.
    """

    open_share: float
    forward_return: FloatArray
    portfolio: StandardTrades

    @property
    def entry(self) -> Entry:
        """The first tradable entry."""
        return self.portfolio.entry


def traded(
    prices: PricePanel,
    p_up: FloatArray,
    returns_from: Callable[[Entry], FloatArray],
    *,
    first_session: int,
    horizon: int,
) -> Trading:
    """Trade the forecasts of consecutive sessions.

    p_up: (n_sessions, n_tickers). returns_from: entry → forward returns of the same shape. first_session: index in `prices`
    of the first forecast. horizon: in sessions.
    """
    portfolio = standard_trades(prices, p_up, first_session=first_session, horizon=horizon)
    return Trading(open_share(prices, p_up, first_session), returns_from(portfolio.entry), portfolio)
