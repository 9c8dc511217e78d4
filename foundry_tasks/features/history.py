"""What features share: prices seen once, returns, windows and cross-sections computed once for those who ask next."""

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
from foundry_tasks.features.cross_section import Sectors, session_mean
from foundry_tasks.features.factors import factor_residuals
from foundry_tasks.features.windows import Matrix

FILL_SESSIONS = 5
"""A missing bar borrows a close of at most this many sessions earlier; its own session stays without features."""
RESIDUAL_VOL_SESSIONS = 60
REMEMBERED_MATRICES = 6
"""Most features need what the one before needed; more than these take memory and save little."""

Arguments = TypeVarTuple("Arguments")


def remembered(compute: Callable[["History", *Arguments], Matrix]) -> Callable[["History", *Arguments], Matrix]:
    """A matrix that a history keeps for as long as it is among the REMEMBERED_MATRICES last asked for."""

    def asked(history: "History", *arguments: *Arguments) -> Matrix:
        return history.remember((compute.__name__, *arguments), lambda: compute(history, *arguments))

    return update_wrapper(asked, compute)


class History:
    """Prices as features read them. All matrices (n_sessions, n_tickers) or, of the market, (n_sessions, 1).

    Returns are simple and decimal (0.01 = 1 %), on adjusted prices, and made from ratios alone, so that a ticker's
    history rescaled by a constant gives the same returns. Row t holds nothing that sessions after t could change.
    Threads may share one: the first who asks for a matrix computes it, the others wait for it. Sessions before index `since`
    are there for what later ones remember of them: features of their own may be NaN.
    """

    def __init__(self, prices: PricePanel, *, since: int = 0) -> None:
        self.prices = prices
        self._since = since
        self._lock = threading.Lock()
        self._matrices: OrderedDict[tuple[Hashable, ...], Future[Matrix]] = OrderedDict()

    def remember(self, key: tuple[Hashable, ...], compute: Callable[[], Matrix]) -> Matrix:
        """What `compute` gives, or gave if it was asked for lately."""
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
        """Where a member has a bar: the rows that have features and take part in cross-sections."""
        return np.asfortranarray(self.prices.live)

    @property
    @remembered
    def close(self) -> Matrix:
        """Adjusted close, gaps filled."""
        return windows.filled(windows.by_ticker(self.prices.adjusted_close), FILL_SESSIONS)

    def _field(self, name: str) -> Matrix:
        values = self.prices.adjusted(name)
        if values is None:
            raise KeyError(name)
        return windows.by_ticker(values)

    @property
    @remembered
    def open(self) -> Matrix:
        """Adjusted open."""
        return self._field("open")

    @property
    @remembered
    def high(self) -> Matrix:
        """Adjusted high."""
        return self._field("high")

    @property
    @remembered
    def low(self) -> Matrix:
        """Adjusted low."""
        return self._field("low")

    @property
    @remembered
    def volume(self) -> Matrix:
        """Shares; NaN where nothing was traded."""
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
        """Deviation of daily returns."""
        return windows.moving_std(self.ret(1), sessions)

    # ---------------------------------------------------------------- cross-sections
    def among_live(self, x: Matrix) -> Matrix:
        """NaN outside membership and where there is no bar."""
        return np.where(self.live, x, np.nan)

    @cached_property
    def sectors(self) -> Sectors:
        """Sector groups."""
        return Sectors(self.prices.sectors)

    def against_sector(self, x: Matrix) -> Matrix:
        """`x` less the mean of the live tickers of its sector."""
        return x - self.sectors.mean(self.among_live(x))

    @remembered
    def sector_ret(self, sessions: int) -> Matrix:
        """Mean return of the sector's live tickers."""
        return self.sectors.mean(self.among_live(self.ret(sessions)))

    def ret_against_sector(self, sessions: int) -> Matrix:
        """Return less the sector's."""
        return self.ret(sessions) - self.sector_ret(sessions)

    @property
    @remembered
    def residual(self) -> Matrix:
        """Daily return that the common factors leave over."""
        return factor_residuals(self.among_live(self.ret(1)), since=self._since - RESIDUAL_VOL_SESSIONS)

    @property
    @remembered
    def residual_vol(self) -> Matrix:
        """Deviation of the residual over 60 sessions."""
        return windows.moving_std(self.residual, RESIDUAL_VOL_SESSIONS)

    # ---------------------------------------------------------------- the market
    @property
    @remembered
    def benchmark(self) -> Matrix:
        """(n_sessions, 1): the benchmark's level, gaps filled."""
        if self.prices.benchmark is None:
            raise KeyError("benchmark")
        return windows.filled(np.array(self.prices.benchmark, dtype=np.float64)[:, None], FILL_SESSIONS)

    @remembered
    def benchmark_ret(self, sessions: int) -> Matrix:
        """(n_sessions, 1): the benchmark's return."""
        return self.benchmark / windows.lagged(self.benchmark, sessions) - 1

    @remembered
    def beta(self, sessions: int) -> Matrix:
        """Slope of daily returns on the benchmark's."""
        market = self.benchmark_ret(1)
        return windows.moving_covariance(self.ret(1), market, sessions) / windows.moving_std(market, sessions) ** 2

    @property
    @remembered
    def idiosyncratic(self) -> Matrix:
        """Daily return less beta (252 sessions) times the benchmark's."""
        return self.ret(1) - self.beta(252) * self.benchmark_ret(1)

    @property
    @remembered
    def universe_ret(self) -> Matrix:
        """(n_sessions, 1): mean daily return of the live tickers."""
        return session_mean(self.among_live(self.ret(1)))

    @property
    @remembered
    def vix(self) -> Matrix:
        """(n_sessions, 1): the VIX close, gaps filled."""
        if self.prices.vix is None:
            raise KeyError("vix")
        return windows.filled(np.array(self.prices.vix, dtype=np.float64)[:, None], FILL_SESSIONS)
