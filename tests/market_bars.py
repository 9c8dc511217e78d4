"""Small valid markets for tests to damage: daily bars of a few tickers on real sessions."""

from datetime import date

import numpy as np
import pandas as pd

from foundry_tasks.data.sessions import sessions_between

FIRST, LAST = date(2020, 1, 2), date(2021, 6, 30)
TICKERS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH")


def sound_bars(
    tickers: tuple[str, ...] = TICKERS, first: date = FIRST, last: date = LAST, seed: int = 3
) -> pd.DataFrame:
    """Bars without a fault, sorted by ticker and date; dates are datetime64[s]."""
    rng = np.random.default_rng(seed)
    sessions = sessions_between("XNYS", first, last).astype("datetime64[s]")
    parts = []
    for ticker in tickers:
        close = 50 * np.exp(np.cumsum(rng.normal(0.0003, 0.012, len(sessions))))
        open_ = close * np.exp(rng.normal(0, 0.004, len(sessions)))
        parts.append(
            pd.DataFrame(
                {
                    "date": sessions,
                    "ticker": ticker,
                    "open": open_,
                    "high": np.maximum(open_, close) * 1.004,
                    "low": np.minimum(open_, close) * 0.996,
                    "close": close,
                    "volume": rng.integers(100_000, 900_000, len(sessions)).astype(float),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
