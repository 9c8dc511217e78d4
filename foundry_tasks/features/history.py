"""Inputs that features share: adjusted prices, returns, windows and cross-sections, each cached after its first use."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import cached_property, update_wrapper
from typing import TypeVarTuple

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import PricePanel
from foundry_tasks.features import windows
from foundry_tasks.features.cross_section import SectorGroups, SectorGroupsBySession, Sectors, session_mean
from foundry_tasks.features.factors import factor_residuals
from foundry_tasks.features.windows import Matrix

FILL_SESSIONS = 5
"""A missing close is replaced by one of at most this many sessions before; the session itself has no features."""
RESIDUAL_VOL_SESSIONS = 60
REMEMBERED_MATRICES = 6
"""Size of the cache. Most features share inputs with the previous feature; more matrices would use memory and save little."""

Arguments = TypeVarTuple("Arguments")


def remembered(compute: Callable[["History", *Arguments], Matrix]) -> Callable[["History", *Arguments], Matrix]:
    """Decorate a method of History so that its matrix is cached while it is among the REMEMBERED_MATRICES last used."""

    def asked(history: "History", *arguments: *Arguments) -> Matrix:
        return history.remember((compute.__name__, *arguments), lambda: compute(history, *arguments))

    return update_wrapper(asked, compute)


class History:
    """Prices and derived matrices for features: (n_sessions, n_tickers), or (n_sessions, 1) if market-wide.

    Returns are simple and decimal (0.01 = 1 %), on adjusted prices. They are ratios, so rescaling a ticker's history by a
    constant does not change them; a feature must not use the level of an adjusted price, which later dividends change. Row
    t does not depend on sessions after t. Threads may share a History: one of them
    computes a matrix, the others wait for it.

    since: index of the first session whose features are needed. Earlier sessions serve as lookback; their own features may
    be NaN.
    """

    def __init__(self, prices: PricePanel, *, since: int = 0) -> None:
        self.prices = prices
        self._since = since
        self._lock = threading.Lock()
        self._matrices: OrderedDict[tuple[Hashable, ...], Future[Matrix]] = OrderedDict()

    def remember(self, key: tuple[Hashable, ...], compute: Callable[[], Matrix]) -> Matrix:
        """The cached matrix of `key`; calls `compute` if there is none. An error of `compute` is cached too."""
        with self._lock:
            is_first = key not in self._matrices
            future = self._matrices.setdefault(key, Future())
            self._matrices.move_to_end(key)
            if len(self._matrices) > REMEMBERED_MATRICES:
                self._matrices.popitem(last=False)
        if is_first:
            try:
                future.set_result(compute())
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    # ---------------------------------------------------------------- prices
    @cached_property
    def live(self) -> npt.NDArray[np.bool_]:
        """(n_sessions, n_tickers) mask: a member with a bar. Only these cells have features and enter cross-sections."""
        return np.asfortranarray(self.prices.live)

    @property
    @remembered
    def close(self) -> Matrix:
        """Adjusted close; gaps of up to FILL_SESSIONS sessions filled with the last value."""
        return windows.filled(windows.by_ticker(self.prices.adjusted_close), FILL_SESSIONS)

    def _field(self, name: str) -> Matrix:
        values = self.prices.adjusted(name)
        if values is None:
            raise KeyError(name)
        return windows.by_ticker(values)

    @property
    @remembered
    def open(self) -> Matrix:
        """Adjusted open. Raises KeyError if the prices have no open."""
        return self._field("open")

    @property
    @remembered
    def high(self) -> Matrix:
        """Adjusted high. Raises KeyError if the prices have no high."""
        return self._field("high")

    @property
    @remembered
    def low(self) -> Matrix:
        """Adjusted low. Raises KeyError if the prices have no low."""
        return self._field("low")

    @property
    @remembered
    def volume(self) -> Matrix:
        """Volume in shares; NaN without trades. Raises KeyError if the prices have no volume."""
        volume = windows.by_ticker(self.prices.fields["volume"])
        return np.where(volume > 0, volume, np.nan)

    @remembered
    def sma(self, sessions: int) -> Matrix:
        """Simple moving average of the close."""
        return windows.moving_mean(self.close, sessions)

    # ---------------------------------------------------------------- returns
    @remembered
    def ret(self, sessions: int) -> Matrix:
        """Return from the close `sessions` ago to the close."""
        return self.close / windows.lagged(self.close, sessions) - 1

    @property
    @remembered
    def overnight(self) -> Matrix:
        """Return from the last close to the open."""
        return self.open / windows.lagged(self.close, 1) - 1

    @property
    @remembered
    def intraday(self) -> Matrix:
        """Return from the open to the close."""
        return self.close / self.open - 1

    @remembered
    def vol(self, sessions: int) -> Matrix:
        """Standard deviation of daily returns over a window of `sessions`."""
        return windows.moving_std(self.ret(1), sessions)

    # ---------------------------------------------------------------- cross-sections
    def among_live(self, x: Matrix) -> Matrix:
        """`x`, NaN outside membership and without a bar."""
        return np.where(self.live, x, np.nan)

    @cached_property
    def sectors(self) -> SectorGroups:
        """The tickers' sectors, as known at each session where they have dates."""
        dated = self.prices.dated_sectors
        return Sectors(self.prices.sectors) if dated is None else SectorGroupsBySession(dated.code)

    def against_sector(self, x: Matrix) -> Matrix:
        """`x` less the mean of the live tickers of its sector."""
        return x - self.sectors.mean(self.among_live(x))

    @remembered
    def sector_ret(self, sessions: int) -> Matrix:
        """Mean return of the sector's live tickers over `sessions`."""
        return self.sectors.mean(self.among_live(self.ret(sessions)))

    def ret_against_sector(self, sessions: int) -> Matrix:
        """Return over `sessions` less the sector's."""
        return self.ret(sessions) - self.sector_ret(sessions)

    @property
    @remembered
    def residual(self) -> Matrix:
        """Residual of the daily return on the common factors."""
        return factor_residuals(self.among_live(self.ret(1)), since=self._since - RESIDUAL_VOL_SESSIONS)

    @property
    @remembered
    def residual_vol(self) -> Matrix:
        """Standard deviation of the residual over RESIDUAL_VOL_SESSIONS."""
        return windows.moving_std(self.residual, RESIDUAL_VOL_SESSIONS)

    # ---------------------------------------------------------------- the market
    @property
    @remembered
    def benchmark(self) -> Matrix:
        """(n_sessions, 1): level of the benchmark, gaps filled. Raises KeyError without a benchmark."""
        if self.prices.benchmark is None:
            raise KeyError("benchmark")
        return windows.filled(np.array(self.prices.benchmark, dtype=np.float64)[:, None], FILL_SESSIONS)

    @remembered
    def benchmark_ret(self, sessions: int) -> Matrix:
        """(n_sessions, 1): the benchmark's return over `sessions`. Raises KeyError without a benchmark."""
        return self.benchmark / windows.lagged(self.benchmark, sessions) - 1

    @remembered
    def beta(self, sessions: int) -> Matrix:
        """Slope of daily returns on the benchmark's over a window of `sessions`. Raises KeyError without a benchmark."""
        market = self.benchmark_ret(1)
        return windows.moving_covariance(self.ret(1), market, sessions) / windows.moving_std(market, sessions) ** 2

    @property
    @remembered
    def idiosyncratic(self) -> Matrix:
        """Daily return less beta (252 sessions) times the benchmark's. Raises KeyError without a benchmark."""
        return self.ret(1) - self.beta(252) * self.benchmark_ret(1)

    @property
    @remembered
    def universe_ret(self) -> Matrix:
        """(n_sessions, 1): mean daily return of the live tickers."""
        return session_mean(self.among_live(self.ret(1)))

    @property
    @remembered
    def vix(self) -> Matrix:
        """(n_sessions, 1): VIX close in percent, gaps filled. Raises KeyError without a VIX."""
        if self.prices.vix is None:
            raise KeyError("vix")
        return windows.filled(np.array(self.prices.vix, dtype=np.float64)[:, None], FILL_SESSIONS)
