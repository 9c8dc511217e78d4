"""Wide matrices of shape (n_sessions, n_tickers): prices and features. All computation uses them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.sectors import DatedSectors

AnyArray = npt.NDArray[Any]
"""An array of any type: numbers, dates, text as objects."""
FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]
DateArray = npt.NDArray[np.datetime64]

PRICE_FIELDS = ("open", "high", "low", "close", "adj_close", "volume")


@dataclass(frozen=True)
class PricePanel:
    """Daily prices of a market.

    sessions: (n_sessions,) datetime64[D], ascending. tickers: n_tickers names, sorted. fields: any of PRICE_FIELDS, always
    `close`; each (n_sessions, n_tickers) float64 in the market's currency (volume in shares), NaN without a bar. member:
    (n_sessions, n_tickers), whether the ticker belonged to the universe that day. sectors: one name a ticker, "" if unknown;
    where sectors change over time, those of the last session, and dated_sectors has them by session; else it is None.
    benchmark, vix: (n_sessions,) or None. breaks: (n_sessions, n_tickers), bars on another scale than the ticker's bar
    before, such as the first after an unadjusted split; None: no breaks.
    """

    sessions: DateArray
    tickers: tuple[str, ...]
    fields: Mapping[str, FloatArray]
    member: BoolArray
    sectors: tuple[str, ...]
    benchmark: FloatArray | None = None
    vix: FloatArray | None = None
    breaks: BoolArray | None = None
    dated_sectors: DatedSectors | None = None

    @cached_property
    def adjusted_close(self) -> FloatArray:
        """(n_sessions, n_tickers) prices of returns: adj_close if the source has it, else close.

        The return across a break is unknown and counts as zero: the series continues at the level before the break, so a
        position neither gains nor loses. Code that must not span a break checks `breaks`.
        """
        return self._joined(self.fields.get("adj_close", self.fields["close"]))

    def adjusted(self, field: str) -> FloatArray | None:
        """(n_sessions, n_tickers): `open`, `high` or `low` on the scale of `adjusted_close`; None if the source lacks it."""
        values = self.fields.get(field)
        if values is None or ("adj_close" not in self.fields and self.breaks is None):
            return values
        return values * (self.adjusted_close / self.fields["close"])

    @property
    def live(self) -> BoolArray:
        """(n_sessions, n_tickers): whether the ticker is a member and has a bar."""
        return self.member & np.isfinite(self.adjusted_close)

    @property
    def returns(self) -> FloatArray:
        """(n_sessions, n_tickers): return from the previous session's close to this one, NaN where unknown."""
        close = self.adjusted_close
        result = np.full(close.shape, np.nan)
        result[1:] = close[1:] / close[:-1] - 1
        if self.breaks is not None:
            result[self.breaks] = np.nan
        return result

    def _joined(self, close: FloatArray) -> FloatArray:
        """Rescale every segment between breaks so that it begins at the last known level before."""
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
        """The panel with one column for each segment between breaks, and (n_more, 2) the origin of each further column.

        A computation on such columns cannot span a break. A ticker's first segment keeps its column; further segments
        follow, ticker by ticker. Each row of the second result holds the ticker's column and the segment's first session.
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
            dated_sectors=self.dated_sectors and self.dated_sectors.of_columns(column),
            breaks=None,
        ), more

    def up_to(self, n_sessions: int) -> "PricePanel":
        """The first `n_sessions` sessions, not copied: the history known at that time."""
        return self.part(slice(n_sessions))

    def part(self, sessions: slice) -> "PricePanel":
        """A range of sessions, not copied."""
        cut = self.mapped(lambda _, values: values[sessions])
        breaks = None if self.breaks is None else self.breaks[sessions]
        dated = self.dated_sectors and self.dated_sectors.part(sessions)
        return replace(
            cut,
            sessions=self.sessions[sessions],
            member=self.member[sessions],
            breaks=breaks,
            sectors=dated.last if dated else self.sectors,
            dated_sectors=dated,
        )

    def mapped(self, change: Callable[[str, FloatArray], FloatArray]) -> "PricePanel":
        """A copy with `change(name, values)` in place of every field, of benchmark and of vix."""
        return replace(
            self,
            fields={name: change(name, values) for name, values in self.fields.items()},
            benchmark=None if self.benchmark is None else change("benchmark", self.benchmark),
            vix=None if self.vix is None else change("vix", self.vix),
        )


@dataclass(frozen=True)
class PanelThen:
    """The panel of a source that ends at an earlier session.

    undecided: (n_sessions, n_tickers), cells whose verdict awaits later bars; they are not live. without: tickers whose
    verdict belongs to their whole history, and which no cut can show.
    """

    panel: PricePanel
    undecided: BoolArray
    without: frozenset[str] = frozenset()


ROWS_A_GROUP = 64 * 512
_GROUP_SESSIONS = (1344, 448, 192, 64)
"""Each is a multiple of the next, so that a block of 1344 sessions is whole row groups for any number of tickers."""


def group_sessions(n_tickers: int) -> int:
    """Number of sessions in a row group of a panel file: at most ROWS_A_GROUP rows, but at least 64 sessions."""
    return next((n for n in _GROUP_SESSIONS if n * n_tickers <= ROWS_A_GROUP), _GROUP_SESSIONS[-1])


class FeatureSource(Protocol):
    """Named features on a grid of sessions and tickers, in memory or in a file."""

    @property
    def sessions(self) -> DateArray:
        """(n_sessions,), ascending."""

    @property
    def tickers(self) -> tuple[str, ...]:
        """The tickers of the columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        """(n_sessions, n_tickers): one feature."""

    def block(self, names: Sequence[str], sessions: slice) -> npt.NDArray[np.float32]:
        """(len(names), n, n_tickers): the named features on a range of n sessions. Callers must not write to it."""


@dataclass(frozen=True)
class FeaturePanel:
    """Named features on the grid of their prices.

    sessions: (n_sessions,) datetime64[D]. tickers, names: of columns and features. values: (n_features, n_sessions,
    n_tickers) float32, NaN where undefined. A market-wide feature has one value for all tickers of a session.
    """

    sessions: DateArray
    tickers: tuple[str, ...]
    names: tuple[str, ...]
    values: npt.NDArray[np.float32]

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        matrix: npt.NDArray[np.float32] = self.values[self.names.index(name)]
        return matrix

    def block(self, names: Sequence[str], sessions: slice) -> npt.NDArray[np.float32]:
        """As in `FeatureSource`."""
        return self.values[[self.names.index(name) for name in names], sessions]

    def items(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Pairs of name and matrix, in order."""
        return zip(self.names, self.values, strict=True)

    def up_to(self, n_sessions: int) -> "FeaturePanel":
        """The first `n_sessions` sessions, not copied."""
        return replace(self, sessions=self.sessions[:n_sessions], values=self.values[:, :n_sessions])

    def last(self, n_sessions: int) -> "FeaturePanel":
        """The last `n_sessions` sessions, or all if there are fewer; not copied."""
        start = max(0, len(self.sessions) - n_sessions)
        return replace(self, sessions=self.sessions[start:], values=self.values[:, start:])
