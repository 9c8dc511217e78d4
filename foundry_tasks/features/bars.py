"""Moves within a session: gap, range, place of the close in the range, overnight and intraday return."""

import numpy as np

from foundry_tasks.features import windows
from foundry_tasks.features.definition import Feature
from foundry_tasks.features.history import History
from foundry_tasks.features.windows import Matrix


def _range(h: History) -> Matrix:
    return h.high / h.low - 1


def _close_location(h: History) -> Matrix:
    spread = h.high - h.low
    return np.clip((2 * h.close - h.high - h.low) / np.where(spread > 0, spread, np.nan), -1, 1)


def _shadow(h: History, *, upper: bool) -> Matrix:
    if upper:
        return h.high / np.maximum(h.open, h.close) - 1
    return np.minimum(h.open, h.close) / h.low - 1


FEATURES = (
    Feature("gap_1d", "Return from the last close to the open.", lambda h: h.overnight, needs=("open",)),
    Feature(
        "gap_over_vol", "The gap in deviations of 20 sessions.", lambda h: h.overnight / h.vol(20), needs=("open",)
    ),
    Feature("intraday_1d", "Return from the open to the close.", lambda h: h.intraday, needs=("open",)),
    Feature(
        "night_less_day_20d",
        "Mean overnight less mean intraday return over 20 sessions (Lou, Polk and Skouras 2019).",
        lambda h: windows.moving_mean(h.overnight - h.intraday, 20),
        needs=("open",),
    ),
    Feature("range_1d", "High over low, less 1.", _range, needs=("high", "low")),
    Feature(
        "range_ratio_20d",
        "The session's range over its 20-session average.",
        lambda h: _range(h) / windows.moving_mean(_range(h), 20),
        needs=("high", "low"),
    ),
    Feature(
        "close_location",
        "Place of the close in the session's range, −1 (low) to 1 (high).",
        _close_location,
        needs=("high", "low"),
    ),
    Feature(
        "close_location_5d",
        "The same, averaged over 5 sessions.",
        lambda h: windows.moving_mean(_close_location(h), 5),
        needs=("high", "low"),
    ),
    Feature(
        "upper_shadow",
        "High over the higher of open and close, less 1.",
        lambda h: _shadow(h, upper=True),
        needs=("open", "high"),
    ),
    Feature(
        "lower_shadow",
        "Lower of open and close over the low, less 1.",
        lambda h: _shadow(h, upper=False),
        needs=("open", "low"),
    ),
)
