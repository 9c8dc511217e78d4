"""The real markets that benchmarks run on, as panels."""

from pathlib import Path

import numpy as np
import pandas as pd

from foundry_tasks.data.panel import PRICE_FIELDS, PricePanel
from foundry_tasks.data.universe import first_to_last_bar

FIVE_YEAR = "sp500_2013_2018"
SCALE = "sp500_2000_2024"


def read_market(market_data: Path, name: str) -> PricePanel:
    """All bars of a market's file, unchanged, with sectors, benchmark and VIX."""
    bars = pd.read_parquet(market_data / f"{name}.parquet")
    sectors = pd.read_csv(market_data / f"sectors_{name}.csv", keep_default_na=False).set_index("ticker")["sector"]
    wide = {field: bars.pivot(index="date", columns="ticker", values=field) for field in PRICE_FIELDS if field in bars}
    fields = {field: np.ascontiguousarray(matrix, dtype=np.float64) for field, matrix in wide.items()}
    sessions = pd.DatetimeIndex(wide["close"].index)
    tickers = tuple(wide["close"].columns)

    def series(file: str) -> np.ndarray:
        closes = pd.read_parquet(market_data / file)
        return closes.set_index(pd.DatetimeIndex(closes["date"]))["close"].reindex(sessions).to_numpy(np.float64)

    return PricePanel(
        sessions=sessions.to_numpy().astype("datetime64[D]"),
        tickers=tickers,
        fields=fields,
        member=first_to_last_bar(np.isfinite(fields["close"])),
        sectors=tuple(sectors.get(ticker, "") for ticker in tickers),
        benchmark=series("spy_1993_2024.parquet"),
        vix=series("vix_1990_2024.parquet"),
    )
