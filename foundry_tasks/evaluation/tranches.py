"""Holdings in overlapping tranches: trades at the execution price, and the treatment of missing prices.

A holding period of h sessions has h tranches of 1/h of the capital each. In every session one tranche, in turn, is rebuilt to
the newest targets; the others are not traded (Jegadeesh and Titman 1993). The capital is constant: gains are withdrawn and
losses refilled, so the P&L of every session is a decimal of the same capital. A position's value drifts with its price until
its tranche is rebuilt. Cash earns nothing.

A ticker without a price in a session (a halt) cannot be traded: the position stays, earns nothing, and takes the whole move
when the price returns; its target waits for the tranche's next turn. After `DELISTED_AFTER_SESSIONS` such sessions in a row a
position counts as delisted and is paid out at its last price, without costs. This rule uses no later data: it does not
depend on whether the price returns, and a price that returns finds no position.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.config import Entry
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import BoolArray, FloatArray, PricePanel

DELISTED_AFTER_SESSIONS = 20
"""In the five-year S&P data set, the longest gap that was no delisting has 10 sessions."""
NEVER_PRICED = 1.0
"""Placeholder before a ticker's first price; no position is possible then."""
HELD = 1e-12
"""A smaller position, as a fraction of the capital, is the rounding error of a closed one."""


@dataclass(frozen=True)
class Execution:
    """Price and time at which a decision is traded.

    price: (n_sessions, n_tickers), adjusted, NaN where no trade is possible. lag: sessions from the close of the decision
    to the session of the trade.
    """

    price: FloatArray
    lag: int


def execution_at(entry: Entry, prices: PricePanel) -> Execution:
    """Execution at the next open or the next close. Raises ConfigError if the prices have no open."""
    price = prices.adjusted("open") if entry == "next_open" else prices.adjusted_close
    if price is None:
        raise ConfigError("entry=next_open trades at the open, and the prices hold no open. Set entry=next_close.")
    return Execution(price, lag=1)


@dataclass(frozen=True)
class Holdings:
    """Positions, trades and P&L before costs; decimals of the capital, never NaN.

    positions: (n_sessions, n_tickers), value at the close after the session's trades. traded: same shape, value bought
    (positive) or sold at the execution price. gross: (n_sessions,), P&L from the previous close to this close. halted:
    (n_sessions,), number of positions without a price. delisted: (n_sessions,), number of positions paid out at their last
    price.
    """

    positions: FloatArray
    traded: FloatArray
    gross: FloatArray
    halted: npt.NDArray[np.intp]
    delisted: npt.NDArray[np.intp]

    @property
    def turnover(self) -> FloatArray:
        """Value bought plus value sold, (n_sessions,)."""
        turnover: FloatArray = np.abs(self.traded).sum(axis=1)
        return turnover


def hold_tranches(
    prices: PricePanel,
    targets: FloatArray,
    execution: Execution,
    *,
    holding_sessions: int,
    max_turnover: float | None = None,
) -> Holdings:
    """Positions and trades that follow the targets.

    targets: (n_sessions, n_tickers), finite, wanted at the close of each session, decimal of the capital.
    holding_sessions: number of tranches. max_turnover: largest fraction of the capital traded in a session; above it all
    trades of that session shrink by the same factor, and the remainder waits for the tranche's next turn.
    """
    close = prices.adjusted_close
    mark = _last_known(close)
    tradable = np.isfinite(close) & (execution.price > 0)
    traded_at = np.where(tradable, execution.price, NEVER_PRICED)
    np.copyto(traded_at[1:], mark[:-1], where=~tradable[1:])
    delisted = _delisted(close)
    opportunities = _Opportunities(tradable, traded_at, delisted)
    shares, changes = _rebuild(targets, opportunities, holding_sessions, execution.lag, max_turnover)

    positions = shares * mark
    value = positions.sum(axis=1)
    gross = value - _value(shares, traded_at)
    gross[1:] += _value(shares[:-1], traded_at[1:]) - value[:-1]
    paid_out = [(session, ticker) for session, tickers in delisted.items() for ticker in tickers]
    return Holdings(
        positions=positions,
        traded=changes * traded_at,
        gross=gross,
        halted=_held(positions, *np.nonzero(np.isnan(close))),
        delisted=_held(positions, *(np.array(paid_out, dtype=np.intp).reshape(-1, 2).T), sessions_before=1),
    )


@dataclass(frozen=True)
class _Opportunities:
    """Possible trades.

    tradable: (n_sessions, n_tickers). traded_at: same shape, execution price, never NaN. delisted: session → columns of the
    tickers that are paid out.
    """

    tradable: BoolArray
    traded_at: FloatArray
    delisted: Mapping[int, npt.NDArray[np.intp]]


def _rebuild(
    targets: FloatArray,
    market: _Opportunities,
    holding_sessions: int,
    lag: int,
    max_turnover: float | None,
) -> tuple[FloatArray, FloatArray]:
    """Shares held after each session and shares bought in it, (n_sessions, n_tickers) each, per unit of capital."""
    traded_at, delisted = market.traded_at, market.delisted
    tranches = np.zeros((holding_sessions, targets.shape[1]))
    shares, changes = np.zeros_like(traded_at), np.zeros_like(traded_at)
    for session in range(lag, len(traded_at)):
        price = traded_at[session]
        if session in delisted:
            tranches[:, delisted[session]] = 0.0
        tranche = tranches[session % holding_sessions]
        wanted = targets[session - lag] / (holding_sessions * price)
        change = np.subtract(wanted, tranche, out=changes[session], where=market.tradable[session])
        if max_turnover is not None:
            turnover = float(np.abs(change) @ price)
            if turnover > max_turnover:
                change *= max_turnover / turnover
        tranche += change
        tranches.sum(axis=0, out=shares[session])
    return shares, changes


def _value(shares: FloatArray, price: FloatArray) -> FloatArray:
    """Value of each session's shares at that session's price, (n_sessions,)."""
    value: FloatArray = np.einsum("ij,ij->i", shares, price)
    return value


def _last_known(close: FloatArray) -> FloatArray:
    """The close, in a gap the last known close."""
    import bottleneck as bn  # noqa: PLC0415 - stages without a backtest start faster

    filled: FloatArray = bn.push(np.asarray(close, dtype=np.float64), axis=0)
    np.copyto(filled, NEVER_PRICED, where=np.isnan(filled))
    return filled


def _delisted(close: FloatArray) -> dict[int, npt.NDArray[np.intp]]:
    """Session → columns of the tickers whose DELISTED_AFTER_SESSIONS-th session in a row without a close it is."""
    gappy = np.flatnonzero(np.isnan(close).any(axis=0))
    row = np.arange(len(close))[:, None]
    last_close = np.maximum.accumulate(np.where(np.isnan(close[:, gappy]), -1, row), axis=0)
    at, column = np.nonzero(row - last_close == DELISTED_AFTER_SESSIONS)
    return {int(session): gappy[column[at == session]] for session in np.unique(at)}


def _held(
    positions: FloatArray, session: npt.NDArray[np.intp], ticker: npt.NDArray[np.intp], *, sessions_before: int = 0
) -> npt.NDArray[np.intp]:
    """Number of the given cells that are positions, (n_sessions,).

    session, ticker: indices of the cells. sessions_before: the position so many sessions earlier counts instead.
    """
    held = np.abs(positions[session - sessions_before, ticker]) > HELD
    return np.bincount(session[held], minlength=len(positions))
