"""Features in usual pandas code: `python pandas_features.py FILE`, a long file sorted by ticker and date.

Windows use `groupby.rolling`, which is several times faster than `transform` with a lambda.
"""

import math
import sys
from typing import Any

import numpy as np
import pandas as pd
from turns import take_turns

MIN_SHARE = 0.8


def features(bars: pd.DataFrame) -> dict[str, np.ndarray]:
    """Name → one value per row."""
    frame = bars.copy()
    by_ticker = frame.groupby("ticker", sort=False, observed=True)

    def returns(sessions: int) -> pd.Series:
        return by_ticker["close"].pct_change(sessions)

    def moving(values: pd.Series, window: int) -> Any:
        least = math.ceil(MIN_SHARE * window)
        return values.groupby(frame["ticker"], sort=False, observed=True).rolling(window, min_periods=least)

    def mean(values: pd.Series, window: int) -> np.ndarray:
        return np.asarray(moving(values, window).mean())

    def deviation(values: pd.Series, window: int) -> np.ndarray:
        return np.asarray(moving(values, window).std())

    def covariance(x: pd.Series, y: pd.Series, window: int) -> np.ndarray:
        return np.asarray(mean(x * y, window) - mean(x, window) * mean(y, window))

    def rank(name: str) -> pd.Series:
        by_session = frame.groupby("date")[name]
        return (by_session.rank() - 0.5) / by_session.transform("count")

    close, volume = frame["close"], frame["volume"]
    for sessions in (1, 5, 20):
        frame[f"ret_{sessions}d"] = returns(sessions)
    ret = frame["ret_1d"]
    market = by_ticker["benchmark"].pct_change(1)
    frame["vol_20d"] = deviation(ret, 20)
    sma_20 = mean(close, 20)
    frame["ma_ratio_20_50"] = sma_20 / mean(close, 50) - 1
    frame["zscore_20d"] = (close - sma_20) / deviation(close, 20)
    gain, loss = mean(ret.clip(lower=0), 14), mean((-ret).clip(lower=0), 14)
    frame["rsi_14d"] = 100 * gain / (gain + loss)
    frame["max_ret_20d"] = moving(ret, 20).max().to_numpy()
    frame["high_252d"] = close / moving(close, 252).max().to_numpy() - 1
    high, low = moving(close, 20).max().to_numpy(), moving(close, 20).min().to_numpy()
    frame["range_position_20d"] = (close - low) / (high - low)
    frame["beta_60d"] = covariance(ret, market, 60) / deviation(market, 60) ** 2
    n = 60  # pandas corrects the bias of skewness; Foundry does not
    frame["skew_60d"] = moving(ret, n).skew().to_numpy() * (n - 2) / math.sqrt(n * (n - 1))
    change, size = np.log(volume), ret.abs()
    spread = deviation(size, 20) * deviation(change.where(ret.notna()), 20)
    frame["volume_move_corr_20d"] = covariance(size, change.where(ret.notna()), 20) / spread
    frame["vol_ratio_20d"] = volume / mean(volume, 20)
    frame["ret_5d_vs_sector"] = frame["ret_5d"] - frame.groupby(["date", "sector"], observed=True)["ret_5d"].transform(
        "mean"
    )
    frame["rank_ret_5d"] = rank("ret_5d")
    frame["rank_vol_20d"] = rank("vol_20d")
    return {name: frame[name].to_numpy() for name in frame.columns.difference(bars.columns)}


if __name__ == "__main__":
    long = pd.read_parquet(sys.argv[1])
    take_turns(lambda: features(long))
