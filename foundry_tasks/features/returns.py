"""Return, momentum and trend of a ticker's own closes."""

import numpy as np

from foundry_tasks.features import windows
from foundry_tasks.features.definition import Feature
from foundry_tasks.features.history import History
from foundry_tasks.features.windows import Matrix


def _above(x: Matrix, y: Matrix) -> Matrix:
    return np.where(np.isnan(x) | np.isnan(y), np.nan, (x > y).astype(np.float64))


def _momentum(h: History, first: int, last: int) -> Matrix:
    return windows.lagged(h.close, last) / windows.lagged(h.close, first) - 1


def _month_a_year_ago(h: History) -> Matrix:
    return windows.lagged(h.close, 231) / windows.lagged(h.close, 252) - 1


FEATURES = (
    Feature("ret_1d", "Return over 1 session.", lambda h: h.ret(1), feature_set="core"),
    Feature("ret_5d", "Return over 5 sessions.", lambda h: h.ret(5), feature_set="core"),
    Feature("ret_20d", "Return over 20 sessions.", lambda h: h.ret(20), feature_set="core"),
    Feature(
        "ma_ratio_20_50",
        "20- over 50-session average close, less 1.",
        lambda h: h.sma(20) / h.sma(50) - 1,
        feature_set="core",
    ),
    Feature(
        "ma_ratio_50_200",
        "50- over 200-session average close, less 1.",
        lambda h: h.sma(50) / h.sma(200) - 1,
        feature_set="core",
    ),
    Feature(
        "px_gt_sma200",
        "1 where the close is above its 200-session average.",
        lambda h: _above(h.close, h.sma(200)),
        feature_set="core",
    ),
    Feature(
        "sma50_gt_sma200",
        "1 where the 50-session average is above the 200-session one.",
        lambda h: _above(h.sma(50), h.sma(200)),
        feature_set="core",
    ),
    Feature(
        "rel_strength_20d",
        "Return over 20 sessions, less the benchmark's.",
        lambda h: h.ret(20) - h.benchmark_ret(20),
        needs=("benchmark",),
        feature_set="core",
    ),
    Feature(
        "rel_strength_60d",
        "Return over 60 sessions, less the benchmark's.",
        lambda h: h.ret(60) - h.benchmark_ret(60),
        needs=("benchmark",),
    ),
    Feature("ret_60d", "Return over 60 sessions.", lambda h: h.ret(60)),
    Feature("mom_6_1", "Return from 126 to 21 sessions ago.", lambda h: _momentum(h, 126, 21)),
    Feature("mom_12_1", "Return from 252 to 21 sessions ago.", lambda h: _momentum(h, 252, 21)),
    Feature(
        "season_12m",
        "Return over the 21 sessions that follow this session's place a year ago (252 to 231 sessions ago).",
        _month_a_year_ago,
    ),
    Feature(
        "high_252d",
        "Close over its highest of 252 sessions, less 1.",
        lambda h: h.close / windows.moving_max(h.close, 252) - 1,
    ),
    Feature(
        "low_252d",
        "Close over its lowest of 252 sessions, less 1.",
        lambda h: h.close / windows.moving_min(h.close, 252) - 1,
    ),
)
