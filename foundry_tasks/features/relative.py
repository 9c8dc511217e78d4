"""A ticker relative to its peers: its sector, the common factors, its rank within the session."""

from collections.abc import Callable

from foundry_tasks.features import windows
from foundry_tasks.features.cross_section import session_rank
from foundry_tasks.features.definition import Feature, Need
from foundry_tasks.features.history import History
from foundry_tasks.features.volume import FEATURES as VOLUME_FEATURES
from foundry_tasks.features.windows import Matrix

_DOLLAR_VOLUME = next(feature for feature in VOLUME_FEATURES if feature.name == "dollar_volume_20d")
_SECTOR: tuple[Need, ...] = ("sectors", "cross_section")
_SECTOR_OPEN: tuple[Need, ...] = ("open", "sectors", "cross_section")
_CROSS: tuple[Need, ...] = ("cross_section",)


def _momentum(h: History) -> Matrix:
    return windows.lagged(h.close, 21) / windows.lagged(h.close, 252) - 1


def _rank(x: Callable[[History], Matrix]) -> Callable[[History], Matrix]:
    return lambda h: session_rank(h.among_live(x(h)))


def _night_vs_sector(h: History) -> Matrix:
    return h.against_sector(h.overnight)


def _day_vs_sector(h: History) -> Matrix:
    return h.against_sector(h.intraday)


FEATURES = (
    Feature(
        "sector_ret_1d", "Mean return of the sector's tickers over 1 session.", lambda h: h.sector_ret(1), needs=_SECTOR
    ),
    Feature("sector_ret_5d", "The same over 5 sessions.", lambda h: h.sector_ret(5), needs=_SECTOR),
    Feature("sector_ret_20d", "The same over 20 sessions.", lambda h: h.sector_ret(20), needs=_SECTOR),
    Feature(
        "ret_1d_vs_sector",
        "Return over 1 session, less the sector's.",
        lambda h: h.ret_against_sector(1),
        needs=_SECTOR,
    ),
    Feature("ret_5d_vs_sector", "The same over 5 sessions.", lambda h: h.ret_against_sector(5), needs=_SECTOR),
    Feature("ret_20d_vs_sector", "The same over 20 sessions.", lambda h: h.ret_against_sector(20), needs=_SECTOR),
    Feature(
        "ret_1d_vs_sector_over_vol",
        "Return over 1 session less the sector's, in deviations of 60 sessions.",
        lambda h: h.ret_against_sector(1) / h.vol(60),
        needs=_SECTOR,
    ),
    Feature(
        "ret_5d_vs_sector_over_vol",
        "Return over 5 sessions less the sector's, in deviations of 60 sessions.",
        lambda h: h.ret_against_sector(5) / h.vol(60),
        needs=_SECTOR,
    ),
    Feature(
        "mom_12_1_vs_sector",
        "Return from 252 to 21 sessions ago, less the sector's.",
        lambda h: h.against_sector(_momentum(h)),
        needs=_SECTOR,
    ),
    Feature(
        "vol_20d_vs_sector",
        "Deviation of 20 sessions less the sector's mean.",
        lambda h: h.against_sector(h.vol(20)),
        needs=_SECTOR,
    ),
    Feature(
        "overnight_vs_sector",
        "Return from the last close to the open, less the sector's.",
        _night_vs_sector,
        needs=_SECTOR_OPEN,
    ),
    Feature(
        "intraday_vs_sector",
        "Return from the open to the close, less the sector's.",
        _day_vs_sector,
        needs=_SECTOR_OPEN,
    ),
    Feature(
        "overnight_vs_sector_5d",
        "Overnight return less the sector's, mean of 5 sessions.",
        lambda h: windows.moving_mean(_night_vs_sector(h), 5),
        needs=_SECTOR_OPEN,
    ),
    Feature(
        "intraday_vs_sector_5d",
        "Intraday return less the sector's, mean of 5 sessions.",
        lambda h: windows.moving_mean(_day_vs_sector(h), 5),
        needs=_SECTOR_OPEN,
    ),
    Feature(
        "residual_1d",
        "Residual of the daily return on 15 principal components (Avellaneda and Lee 2010).",
        lambda h: h.residual,
        needs=_CROSS,
    ),
    Feature(
        "residual_5d", "The same, summed over 5 sessions.", lambda h: windows.moving_sum(h.residual, 5), needs=_CROSS
    ),
    Feature(
        "residual_20d", "The same, summed over 20 sessions.", lambda h: windows.moving_sum(h.residual, 20), needs=_CROSS
    ),
    Feature(
        "residual_1d_over_vol",
        "The residual over its own deviation of 60 sessions.",
        lambda h: h.residual / h.residual_vol,
        needs=_CROSS,
    ),
    Feature(
        "residual_5d_over_vol",
        "The residual summed over 5 sessions, over its own deviation of 60 sessions.",
        lambda h: windows.moving_sum(h.residual, 5) / h.residual_vol,
        needs=_CROSS,
    ),
    Feature("residual_vol_60d", "Deviation of the residual over 60 sessions.", lambda h: h.residual_vol, needs=_CROSS),
    Feature("rank_ret_1d", "Rank of ret_1d within the session, 0 to 1.", _rank(lambda h: h.ret(1)), needs=_CROSS),
    Feature("rank_ret_5d", "Rank of ret_5d within the session.", _rank(lambda h: h.ret(5)), needs=_CROSS),
    Feature("rank_ret_20d", "Rank of ret_20d within the session.", _rank(lambda h: h.ret(20)), needs=_CROSS),
    Feature("rank_mom_12_1", "Rank of mom_12_1 within the session.", _rank(_momentum), needs=_CROSS),
    Feature("rank_vol_20d", "Rank of vol_20d within the session.", _rank(lambda h: h.vol(20)), needs=_CROSS),
    Feature(
        "rank_dollar_volume_20d",
        "Rank of dollar_volume_20d within the session.",
        _rank(_DOLLAR_VOLUME.compute),
        needs=("volume", "cross_section"),
    ),
)
