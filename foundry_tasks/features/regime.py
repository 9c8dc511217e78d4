"""State of the market: one value for each session, the same for every ticker."""

import numpy as np

from foundry_tasks.features import windows
from foundry_tasks.features.cross_section import session_mean, session_std
from foundry_tasks.features.definition import Feature, Need
from foundry_tasks.features.history import History
from foundry_tasks.features.windows import Matrix

_CROSS: tuple[Need, ...] = ("cross_section",)
_BENCHMARK: tuple[Need, ...] = ("benchmark",)


def _trend(h: History) -> Matrix:
    return h.benchmark / windows.moving_mean(h.benchmark, 200) - 1


def _market_vol(h: History, sessions: int) -> Matrix:
    return windows.moving_std(h.benchmark_ret(1), sessions)


def _breadth_trend(h: History) -> Matrix:
    above = np.where(np.isnan(h.sma(50)), np.nan, h.close > h.sma(50))
    return session_mean(h.among_live(above))


def _breadth_up(h: History) -> Matrix:
    up = np.where(np.isnan(h.ret(1)), np.nan, h.ret(1) > 0)
    return windows.moving_mean(session_mean(h.among_live(up)), 5)


def _dispersion(h: History, sessions: int) -> Matrix:
    return windows.moving_mean(session_std(h.among_live(h.ret(1))), sessions)


def _correlation(h: History) -> Matrix:
    """Variance of the mean return over the mean variance, which approximates the average pairwise correlation."""
    single = session_mean(h.among_live(h.vol(60) ** 2))
    return windows.moving_std(h.universe_ret, 60) ** 2 / single


FEATURES = (
    Feature(
        "market_ret_5d",
        "The benchmark's return over 5 sessions.",
        lambda h: h.benchmark_ret(5),
        _BENCHMARK,
        market_wide=True,
    ),
    Feature(
        "market_ret_20d",
        "The benchmark's return over 20 sessions.",
        lambda h: h.benchmark_ret(20),
        _BENCHMARK,
        market_wide=True,
    ),
    Feature(
        "market_trend_200d", "The benchmark over its 200-session average, less 1.", _trend, _BENCHMARK, market_wide=True
    ),
    Feature(
        "market_vol_20d",
        "Deviation of the benchmark's daily returns over 20 sessions.",
        lambda h: _market_vol(h, 20),
        _BENCHMARK,
        market_wide=True,
    ),
    Feature(
        "market_vol_trend",
        "Deviation of the benchmark's daily returns over 5 sessions over that of 60.",
        lambda h: _market_vol(h, 5) / _market_vol(h, 60),
        _BENCHMARK,
        market_wide=True,
    ),
    Feature(
        "market_drawdown_252d",
        "The benchmark over its highest of 252 sessions, less 1.",
        lambda h: h.benchmark / windows.moving_max(h.benchmark, 252) - 1,
        _BENCHMARK,
        market_wide=True,
    ),
    Feature(
        "breadth_sma50", "Share of tickers above their 50-session average.", _breadth_trend, _CROSS, market_wide=True
    ),
    Feature("breadth_up_5d", "Share of tickers that rose, mean of 5 sessions.", _breadth_up, _CROSS, market_wide=True),
    Feature(
        "dispersion_1d",
        "Deviation of daily returns across tickers.",
        lambda h: _dispersion(h, 1),
        _CROSS,
        market_wide=True,
    ),
    Feature("dispersion_20d", "The same, mean of 20 sessions.", lambda h: _dispersion(h, 20), _CROSS, market_wide=True),
    Feature(
        "correlation_60d",
        "Variance of the mean daily return over the tickers' mean variance, 60 sessions.",
        _correlation,
        _CROSS,
        market_wide=True,
    ),
    Feature("vix_level", "VIX close, in percent.", lambda h: h.vix, ("vix",), market_wide=True),
    Feature(
        "vix_change_5d",
        "VIX over its close 5 sessions ago, less 1.",
        lambda h: h.vix / windows.lagged(h.vix, 5) - 1,
        ("vix",),
        market_wide=True,
    ),
    Feature(
        "vix_over_sma60",
        "VIX over its 60-session average, less 1.",
        lambda h: h.vix / windows.moving_mean(h.vix, 60) - 1,
        ("vix",),
        market_wide=True,
    ),
)
