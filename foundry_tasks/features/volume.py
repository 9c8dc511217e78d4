"""Traded volume, and its relation to price moves."""

import numpy as np

from foundry_tasks.features import windows
from foundry_tasks.features.definition import Feature
from foundry_tasks.features.history import History
from foundry_tasks.features.windows import Matrix


def _dollar_volume(h: History) -> Matrix:
    """Traded value: close × volume. Later dividends rescale the adjusted close, so it would be hindsight here.

    A later split multiplies the close and divides the volume, and their product stays.
    """
    return windows.by_ticker(h.prices.fields["close"]) * h.volume


def _log_dollar_volume_20d(h: History) -> Matrix:
    return np.log10(windows.moving_mean(_dollar_volume(h), 20))


def _zscore(h: History) -> Matrix:
    log_volume = np.log(h.volume)
    return (log_volume - windows.moving_mean(log_volume, 60)) / windows.moving_std(log_volume, 60)


def _amihud(h: History) -> Matrix:
    """Amihud (2002): log10 of the mean |return| per million traded, 20 sessions."""
    return np.log10(windows.moving_mean(np.abs(h.ret(1)) / (_dollar_volume(h) / 1e6), 20))


def _volume_return_correlation(h: History) -> Matrix:
    ret, change = np.abs(h.ret(1)), np.log(h.volume)
    correlation = windows.moving_covariance(ret, change, 20)
    correlation /= windows.moving_std(ret, 20) * windows.moving_std(change, 20)
    return correlation


def _signed_volume(h: History, sessions: int) -> Matrix:
    signed = np.sign(h.ret(1)) * h.volume
    return windows.moving_mean(signed, sessions) / windows.moving_mean(h.volume, sessions)


FEATURES = (
    Feature(
        "vol_ratio_20d",
        "Volume over its 20-session average.",
        lambda h: h.volume / windows.moving_mean(h.volume, 20),
        needs=("volume",),
    ),
    Feature(
        "vol_ratio_5_60d",
        "5-session average volume over the 60-session one.",
        lambda h: windows.moving_mean(h.volume, 5) / windows.moving_mean(h.volume, 60),
        needs=("volume",),
    ),
    Feature("volume_zscore_60d", "Log volume less its 60-session average, in deviations.", _zscore, needs=("volume",)),
    Feature(
        "dollar_volume_20d",
        "Log10 of the average close × volume of 20 sessions, in the market's currency.",
        _log_dollar_volume_20d,
        needs=("volume",),
    ),
    Feature(
        "amihud_20d",
        "Illiquidity: log10 of the mean |daily return| per million of close × volume, 20 sessions (Amihud 2002).",
        _amihud,
        needs=("volume",),
    ),
    Feature(
        "volume_move_corr_20d",
        "Correlation of log volume and |daily return| over 20 sessions.",
        _volume_return_correlation,
        needs=("volume",),
    ),
    Feature(
        "signed_volume_5d",
        "Volume of up sessions less that of down sessions, over all, 5 sessions.",
        lambda h: _signed_volume(h, 5),
        needs=("volume",),
    ),
    Feature("signed_volume_20d", "The same over 20 sessions.", lambda h: _signed_volume(h, 20), needs=("volume",)),
)
