"""Wide matrices: sessions down, tickers across. All of compute happens on these."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]
"""Of whatever type: numbers, days, text as objects."""
FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]
DateArray = npt.NDArray[np.datetime64]

PRICE_FIELDS = ("open", "high", "low", "close", "adj_close", "volume")


@dataclass(frozen=True)
class PricePanel:
    """Daily prices of a market.

    sessions: (n_sessions,) datetime64[D], ascending. tickers: n_tickers names, sorted. fields: any of PRICE_FIELDS
    with `close` always there, each (n_sessions, n_tickers) float64 in the currency of the market (volume in shares),
    NaN where there is no bar. member: (n_sessions, n_tickers), whether the ticker belonged to the universe that day.
    sectors: one name a ticker, "" where unknown. benchmark, vix: (n_sessions,) or None where not given. breaks: (n_sessions,
    n_tickers), bars on another scale than the bar before, such as the first after an unadjusted split; None: there are none.
    """

    sessions: DateArray
    tickers: tuple[str, ...]
    fields: Mapping[str, FloatArray]
    member: BoolArray
    sectors: tuple[str, ...]
    benchmark: FloatArray | None = None
    vix: FloatArray | None = None
    breaks: BoolArray | None = None

    @cached_property
    def adjusted_close(self) -> FloatArray:
        """What returns are made of: adj_close where there is one, else close.

        After a break it goes on at the level before, as if the unknown return had been zero: who holds the ticker neither
        gains nor loses by it. What may not reach across asks `breaks`.
        """
        return self._joined(self.fields.get("adj_close", self.fields["close"]))

    def adjusted(self, field: str) -> FloatArray | None:
        """`open`, `high` or `low` on the scale of `adjusted_close`; None where the source lacks it."""
        values = self.fields.get(field)
        if values is None or ("adj_close" not in self.fields and self.breaks is None):
            return values
        return values * (self.adjusted_close / self.fields["close"])

    @property
    def live(self) -> BoolArray:
        """(n_sessions, n_tickers): where a member has a bar."""
        return self.member & np.isfinite(self.adjusted_close)

    @property
    def returns(self) -> FloatArray:
        """(n_sessions, n_tickers): return to each close from the session before, NaN where it is unknown."""
        close = self.adjusted_close
        result = np.full(close.shape, np.nan)
        result[1:] = close[1:] / close[:-1] - 1
        if self.breaks is not None:
            result[self.breaks] = np.nan
        return result

    def _joined(self, close: FloatArray) -> FloatArray:
        """Every segment between breaks times what makes it begin where the one before ended."""
        if self.breaks is None:
            return close
        joined = close.copy()
        for ticker in np.flatnonzero(self.breaks.any(axis=0)):
            for session in np.flatnonzero(self.breaks[:, ticker]):
                before = joined[:session, ticker]
                known = np.flatnonzero(np.isfinite(before))
                if len(known):
                    joined[session:, ticker] *= before[known[-1]] / joined[session, ticker]
        return joined

    def segments(self) -> tuple["PricePanel", npt.NDArray[np.intp]]:
        """The panel with a column for every segment between breaks, and the first session of each further column.

        The first segment keeps its ticker's column, the others follow, ticker by ticker. Shape of the second: (n_more, 2),
        ticker's column and session. Who computes on segments looks across no break.
        """
        if self.breaks is None or not self.breaks.any():
            return replace(self, breaks=None), np.empty((0, 2), np.intp)
        segment = np.cumsum(self.breaks, axis=0)
        more = np.argwhere(self.breaks.T)
        column = np.r_[np.arange(len(self.tickers)), more[:, 0]]
        inside = segment[:, column] == np.r_[np.zeros(len(self.tickers), int), segment[more[:, 1], more[:, 0]]]
        return replace(
            self,
            tickers=tuple(self.tickers[at] for at in column),
            fields={name: np.where(inside, values[:, column], np.nan) for name, values in self.fields.items()},
            member=self.member[:, column] & inside,
            sectors=tuple(self.sectors[at] for at in column),
            breaks=None,
        ), more

    def up_to(self, n_sessions: int) -> "PricePanel":
        """The first `n_sessions` sessions: what was known then."""
        return self.part(slice(n_sessions))

    def part(self, sessions: slice) -> "PricePanel":
        """These sessions, not copied."""
        cut = self.mapped(lambda _, values: values[sessions])
        breaks = None if self.breaks is None else self.breaks[sessions]
        return replace(cut, sessions=self.sessions[sessions], member=self.member[sessions], breaks=breaks)

    def mapped(self, change: Callable[[str, FloatArray], FloatArray]) -> "PricePanel":
        """A copy whose every field, benchmark and vix included, went through `change(name, values)`."""
        return replace(
            self,
            fields={name: change(name, values) for name, values in self.fields.items()},
            benchmark=None if self.benchmark is None else change("benchmark", self.benchmark),
            vix=None if self.vix is None else change("vix", self.vix),
        )


ROWS_A_GROUP = 64 * 512
_GROUP_SESSIONS = (1344, 448, 192, 64)
"""Each a multiple of the next, so that blocks of 1344 sessions are whole groups whatever the number of tickers."""


def group_sessions(n_tickers: int) -> int:
    """Sessions of one row group of a panel file: at most ROWS_A_GROUP rows, and never fewer than 64 sessions."""
    return next((n for n in _GROUP_SESSIONS if n * n_tickers <= ROWS_A_GROUP), _GROUP_SESSIONS[-1])


class FeatureSource(Protocol):
    """Named features on a grid of sessions and tickers, in memory or in a file."""

    @property
    def sessions(self) -> DateArray:
        """(n_sessions,), ascending."""

    @property
    def tickers(self) -> tuple[str, ...]:
        """Of the columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features."""

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        """One feature, (n_sessions, n_tickers)."""

    def block(self, names: Sequence[str], sessions: slice) -> npt.NDArray[np.float32]:
        """Features by name on a range of sessions, (len(names), n, n_tickers); not to be written to."""


@dataclass(frozen=True)
class FeaturePanel:
    """Named features on the grid of their prices.

    values: (n_features, n_sessions, n_tickers) float32, NaN where undefined. A feature of the whole market, such as
    its trend, has the same value for every ticker of a session.
    """

    sessions: DateArray
    tickers: tuple[str, ...]
    names: tuple[str, ...]
    values: npt.NDArray[np.float32]

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        matrix: npt.NDArray[np.float32] = self.values[self.names.index(name)]
        return matrix

    def block(self, names: Sequence[str], sessions: slice) -> npt.NDArray[np.float32]:
        """As `FeatureSource` has it."""
        return self.values[[self.names.index(name) for name in names], sessions]

    def items(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Name and matrix, in order."""
        return zip(self.names, self.values, strict=True)

    def up_to(self, n_sessions: int) -> "FeaturePanel":
        """The first `n_sessions` sessions, not copied."""
        return replace(self, sessions=self.sessions[:n_sessions], values=self.values[:, :n_sessions])

    def last(self, n_sessions: int) -> "FeaturePanel":
        """The last `n_sessions` sessions, all where there are fewer; not copied."""
        start = max(0, len(self.sessions) - n_sessions)
        return replace(self, sessions=self.sessions[start:], values=self.values[:, start:])
