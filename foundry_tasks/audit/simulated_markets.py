"""Simulated markets: a common factor, drift and optionally a weak causal signal planted in the returns.

The signal is known, and so are the best possible scores: those of the oracle. The AUC of a model divided by that of the
oracle shows which part of the signal the model has found.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np

from foundry_tasks.data.panel import DateArray, FloatArray, PricePanel
from foundry_tasks.data.sessions import sessions_between

AUC_PER_SIGNAL = 0.473
"""Slope of the oracle's per-session AUC above ½ on the signal: 1 / (2√π) · E[φ(c) / (Φ(c)·(1 − Φ(c)))] over the
market's moves c, counted in idiosyncratic deviations; linear for weak signals."""


@dataclass(frozen=True)
class SimulatedMarket:
    """Prices of a market and the scores of its oracle.

    oracle: (n_sessions, n_tickers), the expected idiosyncratic log return of the next session, given the close.
    """

    prices: PricePanel
    oracle: FloatArray


def signal_for(oracle_auc: float) -> float:
    """The signal whose oracle has this mean per-session AUC; 0 for an AUC of ½."""
    return (oracle_auc - 0.5) / AUC_PER_SIGNAL


def simulate(
    *,
    sessions: int = 500,
    tickers: int = 40,
    seed: int = 0,
    signal: float = 0.0,
    drift: float = 0.0003,
    volume: bool = True,
) -> SimulatedMarket:
    """Daily prices of a market with a common factor.

    drift: daily log return. signal: the idiosyncratic return of a session is −signal times that of the session before
    (reversal) plus noise; 0: a random walk with drift. `signal_for` computes it from an oracle's AUC. volume: whether the
    market has a volume.
    """
    rng = np.random.default_rng(seed)
    factor = rng.normal(0, 0.008, (sessions, 1))
    beta = rng.uniform(0.6, 1.4, (1, tickers))
    shock = rng.normal(0, 0.012, (sessions, tickers))
    own = np.empty_like(shock)
    own[0] = shock[0]
    for t in range(1, sessions):
        own[t] = -signal * own[t - 1] + np.sqrt(1 - signal**2) * shock[t]
    close = 100 * np.exp(np.cumsum(drift + beta * factor + own, axis=0))
    gap = np.exp(rng.normal(0, 0.003, close.shape))
    opened = np.vstack([close[:1], close[:-1]]) * gap
    wick = np.exp(np.abs(rng.normal(0, 0.004, (2, sessions, tickers))))
    fields = {
        "open": opened,
        "high": np.maximum(opened, close) * wick[0],
        "low": np.minimum(opened, close) / wick[1],
        "close": close,
    }
    if volume:
        fields["volume"] = np.round(np.exp(rng.normal(14, 0.5, close.shape)))
    prices = PricePanel(
        sessions=nyse_sessions()[-sessions:],
        tickers=tuple(f"T{i:03d}" for i in range(tickers)),
        fields=fields,
        member=np.ones(close.shape, dtype=bool),
        sectors=tuple(f"sector {i % 4}" for i in range(tickers)),
        benchmark=100 * np.exp(np.cumsum(drift + factor[:, 0])),
    )
    return SimulatedMarket(prices, -signal * own)


@cache
def nyse_sessions() -> DateArray:
    """Sessions of the New York Stock Exchange up to June 2026."""
    return sessions_between("XNYS", date(2010, 1, 4), date(2026, 6, 30))
