"""A market that is small enough for a calculation by hand and long enough to fill every window."""

from collections.abc import Callable

import numpy as np
import pytest

from foundry_tasks.data.panel import PRICE_FIELDS, PricePanel


def _market(n_sessions: int = 320, n_tickers: int = 12, seed: int = 0, missing: float = 0.01) -> PricePanel:
    rng = np.random.default_rng(seed)
    market = rng.normal(0.0004, 0.01, (n_sessions, 1))
    close = 50 * np.exp(np.cumsum(market + rng.normal(0, 0.015, (n_sessions, n_tickers)), axis=0))
    opened = np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0, 0.004, close.shape))
    fields = {
        "open": opened,
        "high": np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.004, close.shape))),
        "low": np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.004, close.shape))),
        "close": close,
        "adj_close": close * np.linspace(0.9, 1.0, n_sessions)[:, None],
        "volume": np.exp(rng.normal(13, 0.5, close.shape)),
    }
    gone = rng.random(close.shape) < missing
    for values in fields.values():
        values[gone] = np.nan
    return PricePanel(
        sessions=np.datetime64("2019-01-01") + np.arange(n_sessions),
        tickers=tuple(f"T{i:02}" for i in range(n_tickers)),
        fields={name: fields[name] for name in PRICE_FIELDS},
        member=np.ones(close.shape, dtype=bool),
        sectors=tuple("ABC"[i % 3] for i in range(n_tickers)),
        benchmark=100 * np.exp(np.cumsum(market[:, 0])),
        vix=15 * np.exp(rng.normal(0, 0.05, n_sessions)),
    )


@pytest.fixture
def make_market() -> Callable[..., PricePanel]:
    """make_market(n_sessions=…, n_tickers=…, seed=…, missing=…) → PricePanel."""
    return _market


@pytest.fixture(scope="session")
def market() -> PricePanel:
    """One such market, for tests that only read."""
    return _market()
