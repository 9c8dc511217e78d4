"""Holding what was wanted: overlapping tranches, trades at the execution price, and what a missing price does.

A holding of h sessions is h tranches of 1/h of the capital each; every session one of them, in turn, is rebuilt to the
newest targets and the others stay as they are (Jegadeesh and Titman 1993). The capital is constant: gains are taken
out and losses made good, so a session's P&L is a decimal of the same capital whenever it falls, and a position drifts with its
price until its tranche's turn comes. Cash earns nothing.

A halt, a session without a price, can be neither bought nor sold: the position stays, earns nothing and takes the whole
move when the price is back; what was wanted of it waits until the tranche's next turn. After `DELISTED_AFTER_SESSIONS`
such sessions in a row a position is taken as delisted and paid out at its last price, free of cost. That rule needs no
look at the future: whether a price comes back is not known while it is away, and one that does finds nothing held.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.config import Entry
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import BoolArray, FloatArray, PricePanel

DELISTED_AFTER_SESSIONS = 20
"""The longest gap in the five-year S&P set that was no delisting is 10 sessions."""
NEVER_PRICED = 1.0
"""What stands for a price before a ticker's first; nothing can be held of it."""
HELD = 1e-12
"""A smaller position than this, as a share of the capital, is the rounding error of one that was closed."""


@dataclass(frozen=True)
class Execution:
    """When and at what a decision is traded.

    price: (n_sessions, n_tickers), adjusted, NaN where there is no trade. lag: sessions from the close that decides to
    the session that trades.
    """

    price: FloatArray
    lag: int


def execution_at(entry: Entry, prices: PricePanel) -> Execution:
    """Trades at the open or the close after the decision. Raises ConfigError where the prices have no open."""
    price = prices.adjusted("open") if entry == "next_open" else prices.adjusted_close
    if price is None:
        raise ConfigError("entry=next_open trades at the open, and the prices hold no open. Set entry=next_close.")
    return Execution(price, lag=1)


@dataclass(frozen=True)
class Holdings:
    """What was held, traded and earned before costs; shares of the capital, never NaN.

    positions: (n_sessions, n_tickers), value at the close after the session's trades. traded: same shape, value of what
    was bought (positive) or sold at the execution price. gross: (n_sessions,), P&L from the close before to the close.
    halted: (n_sessions,), positions held without a price. delisted: (n_sessions,), positions paid out at the last one.
    """

    positions: FloatArray
    traded: FloatArray
    gross: FloatArray
    halted: npt.NDArray[np.intp]
    delisted: npt.NDArray[np.intp]

    @property
    def turnover(self) -> FloatArray:
        """(n_sessions,): value bought and sold."""
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
    """Carry out the targets, session by session.

    targets: (n_sessions, n_tickers), finite, wanted at the close of each session. max_turnover: share of the capital that a
    session may trade; above it every trade of that session shrinks by the same factor, and the rest is left untraded until the
    tranche's next turn.
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
    """What the market lets be traded.

    tradable, traded_at: (n_sessions, n_tickers), whether and at what price, never NaN. delisted: session → tickers that are
    paid out.
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
    """Shares held after each session and bought in it, per unit of capital. The one recursion of a backtest."""
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
    """(n_sessions,): what each session's shares are worth at that session's price."""
    value: FloatArray = np.einsum("ij,ij->i", shares, price)
    return value


def _last_known(close: FloatArray) -> FloatArray:
    """The close, or in a gap the last one before it."""
    import bottleneck as bn  # noqa: PLC0415 - starts a stage sooner where nothing is traded

    filled: FloatArray = bn.push(np.asarray(close, dtype=np.float64), axis=0)
    np.copyto(filled, NEVER_PRICED, where=np.isnan(filled))
    return filled


def _delisted(close: FloatArray) -> dict[int, npt.NDArray[np.intp]]:
    """Session → the tickers that have then been without a close for DELISTED_AFTER_SESSIONS sessions in a row."""
    gappy = np.flatnonzero(np.isnan(close).any(axis=0))
    row = np.arange(len(close))[:, None]
    last_close = np.maximum.accumulate(np.where(np.isnan(close[:, gappy]), -1, row), axis=0)
    at, column = np.nonzero(row - last_close == DELISTED_AFTER_SESSIONS)
    return {int(session): gappy[column[at == session]] for session in np.unique(at)}


def _held(
    positions: FloatArray, session: npt.NDArray[np.intp], ticker: npt.NDArray[np.intp], *, sessions_before: int = 0
) -> npt.NDArray[np.intp]:
    """(n_sessions,): how many of these cells are positions, or were so many sessions before."""
    held = np.abs(positions[session - sessions_before, ticker]) > HELD
    return np.bincount(session[held], minlength=len(positions))
