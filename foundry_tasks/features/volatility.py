"""Size and shape of a ticker's daily moves."""

import numpy as np

from foundry_tasks.features import windows
from foundry_tasks.features.definition import Feature
from foundry_tasks.features.history import History
from foundry_tasks.features.windows import Matrix


def _downside(h: History, sessions: int) -> Matrix:
    losses = np.minimum(h.ret(1), 0.0)
    return np.asarray(np.sqrt(windows.moving_mean(losses * losses, sessions)))


def _parkinson(h: History, sessions: int) -> Matrix:
    mean_square = windows.moving_mean(np.log(h.high / h.low) ** 2, sessions)
    return np.asarray(np.sqrt(mean_square / (4 * np.log(2))))


def _idiosyncratic_vol(h: History) -> Matrix:
    return windows.moving_std(h.idiosyncratic, 60)


FEATURES = (
    Feature("vol_20d", "Deviation of daily returns over 20 sessions.", lambda h: h.vol(20), feature_set="core"),
    Feature("vol_5d", "Deviation of daily returns over 5 sessions.", lambda h: h.vol(5)),
    Feature("vol_60d", "Deviation of daily returns over 60 sessions.", lambda h: h.vol(60)),
    Feature("vol_trend", "Deviation of daily returns over 5 sessions over that of 60.", lambda h: h.vol(5) / h.vol(60)),
    Feature("downside_vol_20d", "Root mean square of daily losses over 20 sessions.", lambda h: _downside(h, 20)),
    Feature(
        "max_ret_20d",
        "Largest daily return of 20 sessions (Bali, Cakici and Whitelaw 2011).",
        lambda h: windows.moving_max(h.ret(1), 20),
    ),
    Feature("min_ret_20d", "Smallest daily return of 20 sessions.", lambda h: windows.moving_min(h.ret(1), 20)),
    Feature("skew_60d", "Skewness of daily returns over 60 sessions.", lambda h: windows.moving_skew(h.ret(1), 60)),
    Feature(
        "parkinson_20d",
        "Volatility from daily ranges over 20 sessions (Parkinson 1980).",
        lambda h: _parkinson(h, 20),
        needs=("high", "low"),
    ),
    Feature(
        "beta_60d",
        "Slope of daily returns on the benchmark's over 60 sessions.",
        lambda h: h.beta(60),
        needs=("benchmark",),
    ),
    Feature(
        "beta_252d",
        "Slope of daily returns on the benchmark's over 252 sessions.",
        lambda h: h.beta(252),
        needs=("benchmark",),
    ),
    Feature(
        "idio_ret_1d", "Daily return less beta times the benchmark's.", lambda h: h.idiosyncratic, needs=("benchmark",)
    ),
    Feature(
        "idio_ret_5d",
        "The same, summed over 5 sessions.",
        lambda h: windows.moving_sum(h.idiosyncratic, 5),
        needs=("benchmark",),
    ),
    Feature(
        "idio_vol_60d",
        "Deviation over 60 sessions of daily returns less beta times the benchmark's.",
        _idiosyncratic_vol,
        needs=("benchmark",),
    ),
)
