"""Simulated markets: a common factor, drift, and, where asked for, a weak causal signal planted in the returns."""

from datetime import date
from functools import cache

import numpy as np

from foundry_tasks.data.panel import PricePanel
from foundry_tasks.data.sessions import sessions_between


@cache
def nyse_sessions():
    """Sessions of the New York Stock Exchange up to June 2026."""
    return sessions_between("XNYS", date(2010, 1, 4), date(2026, 6, 30))


def simulated_market(*, sessions=500, tickers=40, seed=0, signal=0.0, drift=0.0003, volume=True) -> PricePanel:
    """Daily prices of a market with a common factor.

    signal: share of the idiosyncratic deviation that yesterday's idiosyncratic return predicts (reversal): 0 is a pure
    random walk with drift; 0.08 ranks a session's tickers with an AUC of about 0.53.
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
    return PricePanel(
        sessions=nyse_sessions()[-sessions:],
        tickers=tuple(f"T{i:03d}" for i in range(tickers)),
        fields=fields,
        member=np.ones(close.shape, dtype=bool),
        sectors=tuple(f"sector {i % 4}" for i in range(tickers)),
        benchmark=100 * np.exp(np.cumsum(drift + factor[:, 0])),
    )
