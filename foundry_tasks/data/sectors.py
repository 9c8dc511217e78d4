"""The sectors of tickers: one for the whole history, or by session where a file dates them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNKNOWN = ""
"""The sector of a ticker on sessions for which no file names one."""
HINDSIGHT = "not point in time: today's sectors are used for the whole history, which is hindsight"


@dataclass(frozen=True)
class SectorSpan:
    """A ticker's sector on the dates first … last, both included. dated: whether the file gives the first date."""

    sector: str
    first: np.datetime64
    last: np.datetime64
    dated: bool


SectorSpans = Mapping[str, tuple[SectorSpan, ...]]
"""Ticker → its spans, which do not overlap."""


@dataclass(frozen=True)
class DatedSectors:
    """Sectors by session.

    names: the sectors, sorted; UNKNOWN may be one of them. code: (n_sessions, n_tickers) int16, index into names.
    """

    names: tuple[str, ...]
    code: npt.NDArray[np.int16]

    @property
    def last(self) -> tuple[str, ...]:
        """The tickers' sectors in the last session; UNKNOWN without sessions."""
        if not len(self.code):
            return (UNKNOWN,) * int(self.code.shape[1])
        codes: list[int] = self.code[-1].tolist()
        return tuple(self.names[code] for code in codes)

    def part(self, sessions: slice) -> "DatedSectors":
        """A range of sessions, not copied."""
        return DatedSectors(self.names, self.code[sessions])

    def of_columns(self, columns: npt.NDArray[np.intp]) -> "DatedSectors":
        """The sectors of these columns, in this order."""
        return DatedSectors(self.names, self.code[:, columns])


def on_sessions(
    spans: SectorSpans, sessions: npt.NDArray[np.datetime64], tickers: Sequence[str]
) -> tuple[tuple[str, ...], DatedSectors | None]:
    """Sectors in the last session, one a ticker, and by session; None if no ticker's sector changes over the sessions.

    sessions: (n_sessions,), ascending. A ticker without a span on a session has the sector UNKNOWN.
    """
    names = (UNKNOWN, *sorted({span.sector for found in spans.values() for span in found} - {UNKNOWN}))
    index = {name: code for code, name in enumerate(names)}
    code = np.zeros((len(sessions), len(tickers)), np.int16)
    for column, ticker in enumerate(tickers):
        for span in spans.get(ticker, ()):
            first, stop = np.searchsorted(sessions, span.first), np.searchsorted(sessions, span.last, "right")
            code[first:stop, column] = index[span.sector]
    dated = DatedSectors(names, code)
    return dated.last, None if (code == code[-1:]).all() else dated


def known_sectors(spans: SectorSpans, day: np.datetime64) -> SectorSpans:
    """The spans that had begun on `day`."""
    return {ticker: tuple(span for span in found if span.first <= day) for ticker, found in spans.items()}


def overlaps(spans: Sequence[SectorSpan]) -> Iterator[tuple[int, int]]:
    """Pairs of indices, the earlier first, of a ticker's spans that share a date and name two sectors."""
    order = sorted(range(len(spans)), key=lambda at: (spans[at].first, at))
    for place, at in enumerate(order):
        for other in order[place + 1 :]:
            if spans[other].first > spans[at].last:
                break
            if spans[other].sector != spans[at].sector:
                yield min(at, other), max(at, other)


def hindsight_in(spans: SectorSpans, file: str) -> str:
    """A sentence on whether sectors are point in time; empty without sectors."""
    rows = [span for found in spans.values() for span in found]
    undated = sum(not span.dated for span in rows)
    if not rows:
        return ""
    if undated == len(rows):
        return HINDSIGHT
    if undated:
        return (
            f"not fully point in time: {undated} of {len(rows)} sectors in {file} have no start date and count from the "
            "beginning, which is hindsight"
        )
    return f"point in time from {file}"
