"""Build the wide price panel from judged bars."""

import numpy as np

from foundry_tasks.data.bar_verdicts import Bars, Judged
from foundry_tasks.data.panel import BoolArray, DateArray, FloatArray, PricePanel
from foundry_tasks.data.sectors import SectorSpans, on_sessions
from foundry_tasks.data.universe import first_to_last_bar


def build_panel(
    bars: Bars, judged: Judged, sessions: DateArray, member: BoolArray | None, sectors: SectorSpans
) -> PricePanel:
    """The kept bars on the grid of sessions × tickers, from the first session with a bar to the last.

    A ticker is not a member while it is withheld. Tickers without a kept bar on a session of membership are left out.

    sessions: (n_sessions,). member: (n_sessions, n_tickers of `bars`) from a universe file; None: a ticker is a member from
    its first to its last kept bar. sectors: ticker → its sectors.
    """
    shape = (len(sessions), len(bars.tickers))
    at = (bars.session[judged.kept], bars.ticker[judged.kept])
    has_bar = np.zeros(shape, bool)
    has_bar[at] = True
    belongs = first_to_last_bar(has_bar) if member is None else member
    across = np.flatnonzero((has_bar & belongs).any(axis=0))
    belongs = belongs & ~_on_grid(bars, judged.jumps.withheld, shape)
    breaks = _on_grid(bars, _first_kept(bars, judged), shape)
    filled = np.flatnonzero(has_bar[:, across].any(axis=1))
    down = slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 0)

    def wide(values: FloatArray) -> FloatArray:
        matrix = np.full(shape, np.nan)
        matrix[at] = values[judged.kept]
        return np.ascontiguousarray(matrix[down, across])

    tickers = tuple(bars.tickers[index] for index in across)
    last_sectors, dated_sectors = on_sessions(sectors, sessions[down], tickers)
    return PricePanel(
        sessions=sessions[down],
        tickers=tickers,
        fields={name: wide(values) for name, values in bars.fields.items()},
        member=np.ascontiguousarray(belongs[down, across]),
        sectors=last_sectors,
        dated_sectors=dated_sectors,
        breaks=np.ascontiguousarray(breaks[down, across]) if breaks.any() else None,
    )


def _on_grid(bars: Bars, mark: BoolArray, shape: tuple[int, int]) -> BoolArray:
    result = np.zeros(shape, bool)
    result[bars.session[mark], bars.ticker[mark]] = True
    return result


def _first_kept(bars: Bars, judged: Judged) -> BoolArray:
    """Mask (n_bars,): the ticker's first kept bar on or after each break."""
    kept = np.flatnonzero(judged.kept)
    segment, ticker = np.cumsum(judged.breaks)[kept], bars.ticker[kept]
    first = np.zeros(len(bars.ticker), bool)
    first[kept[1:]] = (segment[1:] > segment[:-1]) & (ticker[1:] == ticker[:-1])
    return first
