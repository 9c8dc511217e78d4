"""Membership of the universe: point in time from a file, else from each ticker's first to its last bar."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.column_content import holds_dates
from foundry_tasks.data.column_names import column_of
from foundry_tasks.data.columns import listed
from foundry_tasks.data.dates import span_dates
from foundry_tasks.data.frames import Say, read_frame
from foundry_tasks.data.market_files import read_text_columns
from foundry_tasks.data.panel import BoolArray, DateArray, FloatArray, PricePanel
from foundry_tasks.data.tickers import identity

NOT_POINT_IN_TIME = "not point in time: survivorship bias"


@dataclass(frozen=True)
class Universe:
    """Membership intervals.

    name: of the file. tickers: one an interval. starts, ends: (n_intervals,) datetime64[D], both included; an interval
    without an end date is still open. undated: number of intervals without a start date; they begin at the first session.
    """

    name: str
    tickers: tuple[str, ...]
    starts: DateArray
    ends: DateArray
    undated: int = 0

    def members(self, sessions: DateArray, tickers: Sequence[str]) -> BoolArray:
        """(n_sessions, n_tickers): whether a ticker was a member. Tickers match by `identity`: BRK.B is BRK-B."""
        column = {identity(ticker): index for index, ticker in enumerate(tickers)}
        member = np.zeros((len(sessions), len(tickers)), bool)
        for ticker, start, end in zip(self.tickers, self.starts, self.ends, strict=True):
            at = column.get(identity(ticker))
            if at is not None:
                member[np.searchsorted(sessions, start) : np.searchsorted(sessions, end, "right"), at] = True
        return member

    def known_on(self, day: np.datetime64) -> "Universe":
        """The intervals that had begun on `day`."""
        begun = np.flatnonzero(self.starts <= day)
        tickers = tuple(self.tickers[at] for at in begun)
        return replace(self, tickers=tickers, starts=self.starts[begun], ends=self.ends[begun])

    def size(self, sessions: DateArray) -> int:
        """Number of member ticker-sessions within `sessions`, with or without prices."""
        return int(self.members(sessions, sorted({identity(ticker) for ticker in self.tickers})).sum())


def read_universe(file: Path, say: Say | None = None) -> Universe:
    """Read a csv or parquet file with ticker, start_date and end_date, one interval a line; or a plain list of tickers.

    say: called with a sentence on the recognised format. Raises DataRejectedError for missing columns, missing tickers,
    no rows, unreadable dates and intervals that end before they start.
    """
    raw = read_frame(file, say)
    table = read_text_columns(raw, file, ("ticker",), optional=("start_date", "end_date"))
    _refuse_half_dated(raw, table, file)
    whole = table.reindex(columns=["ticker", "start_date", "end_date"])
    table = whole.dropna(subset=["ticker"])
    if table.empty:
        raise DataRejectedError(
            f"{file} holds no membership. Write ticker, start_date and end_date, one interval a line."
        )
    if nameless := int((whole["ticker"].isna() & whole.notna().any(axis=1)).sum()):
        raise DataRejectedError(f"{file}: {nameless} line(s) without a ticker. Complete or remove them.")
    starts, ends = span_dates(table, str(file))
    wrong = np.flatnonzero(ends < starts)
    if len(wrong):
        raise DataRejectedError(f"{file}: {table['ticker'].iloc[wrong[0]]} leaves before it joins. Correct its dates.")
    return Universe(file.name, tuple(table["ticker"]), starts, ends, int(table["start_date"].isna().sum()))


def _refuse_half_dated(raw: pd.DataFrame, table: pd.DataFrame, file: Path) -> None:
    """Raise DataRejectedError for start dates without end dates and for dates in a column with an unknown name.

    Either file would otherwise be read as a plain list of members.
    """
    if "start_date" in table and "end_date" not in table:
        raise DataRejectedError(
            f"{file}: no column end_date; it has {listed(raw.columns)}. Without end dates no membership "
            "ends: add the column, or remove the start dates for a plain list of members."
        )
    dated = [
        str(name)
        for position, name in enumerate(raw.columns)
        if column_of(str(name)) != "end_date" and holds_dates(raw.iloc[:, position], epochs=False)
    ]
    if dated and "start_date" not in table:
        raise DataRejectedError(
            f"{file}: no column start_date; {listed(dated)} holds dates. Name the columns of first and last dates "
            "start_date and end_date, or remove all dates for a plain list of members."
        )


def first_to_last_bar(has_bar: BoolArray) -> BoolArray:
    """(n_sessions, n_tickers): membership without a file, from each ticker's first to its last bar. has_bar: same shape."""
    begun = np.logical_or.accumulate(has_bar, axis=0)
    still = np.logical_or.accumulate(has_bar[::-1], axis=0)[::-1]
    return begun & still


def survivorship(universe: Universe | None, priced_cells: int, sessions: DateArray) -> str:
    """The report's sentence on survivorship bias. priced_cells: number of member ticker-sessions with a price."""
    if universe is None:
        return NOT_POINT_IN_TIME
    share = priced_cells / max(universe.size(sessions), 1)
    priced = f"prices for {share:.1%} of its ticker-sessions"
    if universe.undated == len(universe.tickers):
        return f"{NOT_POINT_IN_TIME}, since {universe.name} gives no start dates; {priced}"
    if universe.undated:
        return (
            f"not fully point in time: {universe.undated} of {len(universe.tickers)} memberships in {universe.name} have no "
            f"start date and count from the beginning, so survivorship bias remains; {priced}"
        )
    sentence = f"point in time from {universe.name}; {priced}"
    return sentence if share >= 0.99 else f"{sentence}, so survivorship bias remains"


def universe_index(panel: PricePanel) -> FloatArray | None:
    """(n_sessions,) substitute for a benchmark: compounded mean return of the members, 100 at the first session.

    The return of session t is the mean over tickers that were members at t − 1. None with a single ticker, which would be
    its own benchmark.
    """
    if len(panel.tickers) < 2:
        return None
    returns = np.where(panel.member[:-1], panel.returns[1:], np.nan)
    known = np.isfinite(returns)
    mean = np.where(known, returns, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    index: FloatArray = 100 * np.concatenate([[1.0], np.cumprod(1 + mean)])
    return index
