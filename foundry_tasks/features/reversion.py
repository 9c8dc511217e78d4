"""Distance of a ticker from its recent level."""

import numpy as np

from foundry_tasks.features import windows
from foundry_tasks.features.definition import Feature
from foundry_tasks.features.history import History
from foundry_tasks.features.windows import Matrix


def _rsi(h: History, sessions: int) -> Matrix:
    """Cutler's RSI, 0 to 100. It uses plain averages, so a value does not depend on the start of the series."""
    gain = windows.moving_mean(np.maximum(h.ret(1), 0.0), sessions)
    loss = windows.moving_mean(np.maximum(-h.ret(1), 0.0), sessions)
    total = gain + loss
    return 100 * gain / np.where(total > 1e-12, total, np.nan)


def _zscore(h: History, sessions: int) -> Matrix:
    return (h.close - h.sma(sessions)) / windows.moving_std(h.close, sessions, scale=0.0)


def _band(h: History, deviations: float) -> Matrix:
    return (h.sma(20) + deviations * windows.moving_std(h.close, 20, scale=0.0)) / h.close - 1


def _band_position(h: History, sessions: int) -> Matrix:
    high, low = windows.moving_max(h.close, sessions), windows.moving_min(h.close, sessions)
    return (h.close - low) / np.where(high > low, high - low, np.nan)


def _streak(h: History) -> Matrix:
    """Number of consecutive sessions with the same sign of the return, at most 8, with that sign."""
    sign = np.sign(h.ret(1))
    streak, running = sign.copy(), np.ones(sign.shape, dtype=bool)
    for sessions in range(1, 8):
        running &= windows.lagged(sign, sessions) == sign
        streak += running * sign
    return streak


FEATURES = (
    Feature(
        "rsi_14d", "Relative strength index over 14 sessions, plain averages (Cutler), 0 to 100.", lambda h: _rsi(h, 14)
    ),
    Feature("rsi_3d", "Relative strength index over 3 sessions, plain averages, 0 to 100.", lambda h: _rsi(h, 3)),
    Feature("zscore_5d", "Close less its 5-session average, in deviations.", lambda h: _zscore(h, 5)),
    Feature("zscore_20d", "Close less its 20-session average, in deviations.", lambda h: _zscore(h, 20)),
    Feature("zscore_60d", "Close less its 60-session average, in deviations.", lambda h: _zscore(h, 60)),
    Feature(
        "band_upper_20d",
        "Distance to the upper Bollinger band (average + 2 deviations of 20 sessions), over the close.",
        lambda h: _band(h, 2.0),
    ),
    Feature("band_lower_20d", "Distance to the lower Bollinger band, over the close.", lambda h: _band(h, -2.0)),
    Feature(
        "range_position_20d",
        "Place of the close between its lowest and highest of 20 sessions, 0 to 1.",
        lambda h: _band_position(h, 20),
    ),
    Feature("ret_1d_over_vol", "Return over 1 session, in deviations of 20 sessions.", lambda h: h.ret(1) / h.vol(20)),
    Feature("ret_5d_over_vol", "Return over 5 sessions, in deviations of 60 sessions.", lambda h: h.ret(5) / h.vol(60)),
    Feature("streak", "Sessions in a row with a return of the same sign, signed, at most 8.", _streak),
)
