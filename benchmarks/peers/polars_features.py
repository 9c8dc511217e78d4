"""The same features in Polars: `python polars_features.py FILE`, a long file sorted by ticker and date."""

import math
import sys

import numpy as np
import polars as pl
from turns import take_turns

MIN_SHARE = 0.8


def _moving(kind: str, values: pl.Expr, window: int, **options: object) -> pl.Expr:
    function = getattr(values, f"rolling_{kind}")
    return function(window, min_samples=math.ceil(MIN_SHARE * window), **options).over("ticker")


def _returns(name: str, sessions: int) -> pl.Expr:
    return (pl.col(name) / pl.col(name).shift(sessions) - 1).over("ticker")


def _covariance(x: pl.Expr, y: pl.Expr, window: int) -> pl.Expr:
    return pl.rolling_cov(x, y, window_size=window, min_samples=math.ceil(MIN_SHARE * window), ddof=0).over("ticker")


def _rank(name: str) -> pl.Expr:
    return ((pl.col(name).rank() - 0.5) / pl.col(name).count()).over("date")


def features(bars: pl.DataFrame) -> dict[str, np.ndarray]:
    """Name → one value per row."""
    close, volume, ret, market = (pl.col(name) for name in ("close", "volume", "ret_1d", "market"))
    high, low = _moving("max", close, 20), _moving("min", close, 20)
    gain, loss = _moving("mean", ret.clip(0, None), 14), _moving("mean", (-ret).clip(0, None), 14)
    size, change = ret.abs(), pl.when(ret.is_not_null()).then(volume.log())
    made = (
        bars.lazy()
        .with_columns(
            *(_returns("close", sessions).alias(f"ret_{sessions}d") for sessions in (1, 5, 20)),
            market=_returns("benchmark", 1),
        )
        .with_columns(
            vol_20d=_moving("std", ret, 20),
            ma_ratio_20_50=_moving("mean", close, 20) / _moving("mean", close, 50) - 1,
            zscore_20d=(close - _moving("mean", close, 20)) / _moving("std", close, 20),
            rsi_14d=100 * gain / (gain + loss),
            max_ret_20d=_moving("max", ret, 20),
            high_252d=close / _moving("max", close, 252) - 1,
            range_position_20d=(close - low) / (high - low),
            beta_60d=_covariance(ret, market, 60) / _moving("std", market, 60) ** 2,
            skew_60d=_moving("skew", ret, 60),
            volume_move_corr_20d=_covariance(size, change, 20)
            / (_moving("std", size, 20) * _moving("std", change, 20)),
            vol_ratio_20d=volume / _moving("mean", volume, 20),
            ret_5d_vs_sector=pl.col("ret_5d") - pl.col("ret_5d").mean().over("date", "sector"),
        )
        .with_columns(rank_ret_5d=_rank("ret_5d"), rank_vol_20d=_rank("vol_20d"))
        .drop("market", *bars.columns)
        .collect()
    )
    return {name: made[name].to_numpy() for name in made.columns}


if __name__ == "__main__":
    long = pl.read_parquet(sys.argv[1])
    take_turns(lambda: features(long))
