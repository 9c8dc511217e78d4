"""What features share: prices seen once, returns, windows and cross-sections computed once and kept."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import PricePanel
from foundry_tasks.features import windows
from foundry_tasks.features.cross_section import Sectors, session_mean
from foundry_tasks.features.factors import factor_residuals
from foundry_tasks.features.windows import Matrix

FILL_SESSIONS = 5
"""A missing bar borrows a close of at most this many sessions earlier; its own session stays without features."""


class History:
    """Prices as features read them. All matrices (n_sessions, n_tickers) or, of the market, (n_sessions, 1).

    Returns are simple and decimal (0.01 = 1 %), on adjusted prices, and made from ratios alone, so that a ticker's
    history rescaled by a constant gives the same returns. Row t holds nothing that sessions after t could change.
    """

    def __init__(self, prices: PricePanel) -> None:
        self.prices = prices
        self._kept: dict[tuple[str, int], Matrix] = {}

    def _keep(self, name: str, sessions: int, compute: Callable[[], Matrix]) -> Matrix:
        key = (name, sessions)
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]

    # ---------------------------------------------------------------- prices
    @cached_property
    def live(self) -> npt.NDArray[np.bool_]:
        """Where a member has a bar: the rows that have features and take part in cross-sections."""
        return self.prices.member & np.isfinite(self.prices.adjusted_close)

    @cached_property
    def close(self) -> Matrix:
        """Adjusted close, gaps filled."""
        return windows.filled(np.ascontiguousarray(self.prices.adjusted_close, dtype=np.float64), FILL_SESSIONS)

    def _field(self, name: str) -> Matrix:
        values = self.prices.adjusted(name)
        if values is None:
            raise KeyError(name)
        return np.ascontiguousarray(values, dtype=np.float64)

    @cached_property
    def open(self) -> Matrix:
        """Adjusted open."""
        return self._field("open")

    @cached_property
    def high(self) -> Matrix:
        """Adjusted high."""
        return self._field("high")

    @cached_property
    def low(self) -> Matrix:
        """Adjusted low."""
        return self._field("low")

    @cached_property
    def volume(self) -> Matrix:
        """Shares; NaN where nothing was traded."""
        volume = np.ascontiguousarray(self.prices.fields["volume"], dtype=np.float64)
        return np.where(volume > 0, volume, np.nan)

    def sma(self, sessions: int) -> Matrix:
        """Simple moving average of the close."""
        return self._keep("sma", sessions, lambda: windows.moving_mean(self.close, sessions))

    # ---------------------------------------------------------------- returns
    def ret(self, sessions: int) -> Matrix:
        """Return from the close `sessions` ago to the close."""
        return self._keep("ret", sessions, lambda: self.close / windows.lagged(self.close, sessions) - 1)

    @cached_property
    def overnight(self) -> Matrix:
        """Return from the last close to the open."""
        return self.open / windows.lagged(self.close, 1) - 1

    @cached_property
    def intraday(self) -> Matrix:
        """Return from the open to the close."""
        return self.close / self.open - 1

    def vol(self, sessions: int) -> Matrix:
        """Deviation of daily returns."""
        return self._keep("vol", sessions, lambda: windows.moving_std(self.ret(1), sessions))

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

    def sector_ret(self, sessions: int) -> Matrix:
        """Mean return of the sector's live tickers."""
        return self._keep("sector_ret", sessions, lambda: self.sectors.mean(self.among_live(self.ret(sessions))))

    def ret_against_sector(self, sessions: int) -> Matrix:
        """Return less the sector's."""
        return self.ret(sessions) - self.sector_ret(sessions)

    @cached_property
    def residual(self) -> Matrix:
        """Daily return that the common factors leave over."""
        return factor_residuals(self.among_live(self.ret(1)))

    @cached_property
    def residual_vol(self) -> Matrix:
        """Deviation of the residual over 60 sessions."""
        return windows.moving_std(self.residual, 60)

    # ---------------------------------------------------------------- the market
    @cached_property
    def benchmark(self) -> Matrix:
        """(n_sessions, 1): the benchmark's level, gaps filled."""
        if self.prices.benchmark is None:
            raise KeyError("benchmark")
        return windows.filled(np.array(self.prices.benchmark, dtype=np.float64)[:, None], FILL_SESSIONS)

    def benchmark_ret(self, sessions: int) -> Matrix:
        """(n_sessions, 1): the benchmark's return."""
        return self._keep(
            "benchmark_ret", sessions, lambda: self.benchmark / windows.lagged(self.benchmark, sessions) - 1
        )

    def beta(self, sessions: int) -> Matrix:
        """Slope of daily returns on the benchmark's."""

        def compute() -> Matrix:
            market = self.benchmark_ret(1)
            return windows.moving_covariance(self.ret(1), market, sessions) / windows.moving_std(market, sessions) ** 2

        return self._keep("beta", sessions, compute)

    @cached_property
    def idiosyncratic(self) -> Matrix:
        """Daily return less beta (252 sessions) times the benchmark's."""
        return self.ret(1) - self.beta(252) * self.benchmark_ret(1)

    @cached_property
    def universe_ret(self) -> Matrix:
        """(n_sessions, 1): mean daily return of the live tickers."""
        return session_mean(self.among_live(self.ret(1)))

    @cached_property
    def vix(self) -> Matrix:
        """(n_sessions, 1): the VIX close, gaps filled."""
        if self.prices.vix is None:
            raise KeyError("vix")
        return windows.filled(np.array(self.prices.vix, dtype=np.float64)[:, None], FILL_SESSIONS)
