"""Who belonged to the universe, and when: point in time where a file says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.dates import calendar_dates
from foundry_tasks.data.frames import read_frame
from foundry_tasks.data.market_files import read_text_columns
from foundry_tasks.data.panel import BoolArray, DateArray, FloatArray, PricePanel

NOT_POINT_IN_TIME = "not point in time: survivorship bias"


@dataclass(frozen=True)
class Universe:
    """Membership intervals: ticker, first and last date (both included; no last date: to this day)."""

    name: str
    tickers: tuple[str, ...]
    starts: DateArray
    ends: DateArray

    def members(self, sessions: DateArray, tickers: Sequence[str]) -> BoolArray:
        """(n_sessions, n_tickers): whether a ticker belonged. A class of shares may be written BRK.B or BRK-B."""
        column = {_spelling(ticker): index for index, ticker in enumerate(tickers)}
        member = np.zeros((len(sessions), len(tickers)), bool)
        for ticker, start, end in zip(self.tickers, self.starts, self.ends, strict=True):
            at = column.get(_spelling(ticker))
            if at is not None:
                member[np.searchsorted(sessions, start) : np.searchsorted(sessions, end, "right"), at] = True
        return member

    def size(self, sessions: DateArray) -> int:
        """Ticker-sessions that the file names within `sessions`, with or without prices."""
        first = np.searchsorted(sessions, self.starts)
        last = np.searchsorted(sessions, self.ends, "right")
        return int(np.maximum(last - first, 0).sum())


def read_universe(file: Path) -> Universe:
    """A csv or parquet file with ticker, start_date and end_date. Raises DataRejectedError that says what is wrong."""
    table = read_text_columns(read_frame(file), file, ("ticker", "start_date", "end_date"))
    table = table.dropna(subset=["ticker", "start_date"])
    if table.empty:
        raise DataRejectedError(
            f"{file} holds no membership. Write ticker, start_date and end_date, one interval a line."
        )
    starts = calendar_dates(table["start_date"], str(file)).to_numpy().astype("datetime64[D]")
    ends = np.full(len(table), np.datetime64("2262-01-01"), "datetime64[D]")
    closed = table["end_date"].notna().to_numpy()
    if closed.any():
        ends[closed] = (
            calendar_dates(table["end_date"][closed], str(file), open_ended=True).to_numpy().astype("datetime64[D]")
        )
    wrong = np.flatnonzero(ends < starts)
    if len(wrong):
        raise DataRejectedError(f"{file}: {table['ticker'].iloc[wrong[0]]} leaves before it joins. Correct its dates.")
    return Universe(file.name, tuple(table["ticker"]), starts, ends)


def first_to_last_bar(has_bar: BoolArray) -> BoolArray:
    """Membership without a file: every ticker from its first to its last bar. has_bar: (n_sessions, n_tickers)."""
    begun = np.logical_or.accumulate(has_bar, axis=0)
    still = np.logical_or.accumulate(has_bar[::-1], axis=0)[::-1]
    return begun & still


def survivorship(universe: Universe | None, priced_cells: int, sessions: DateArray) -> str:
    """The report's sentence. priced_cells: ticker-sessions of members that have a price."""
    if universe is None:
        return NOT_POINT_IN_TIME
    share = priced_cells / max(universe.size(sessions), 1)
    sentence = f"point in time from {universe.name}; prices for {share:.1%} of its ticker-sessions"
    return sentence if share >= 0.99 else f"{sentence}, so survivorship bias remains"


def _spelling(ticker: str) -> str:
    return ticker.replace("-", ".").upper()


def universe_index(panel: PricePanel) -> FloatArray | None:
    """What stands in for a benchmark: (n_sessions,) compounded mean of the members' returns, 100 at the start.

    A session's return is that of the tickers that were members the session before. None with one ticker: it would be
    measured against itself.
    """
    if len(panel.tickers) < 2:
        return None
    returns = np.where(panel.member[:-1], panel.returns[1:], np.nan)
    known = np.isfinite(returns)
    mean = np.where(known, returns, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    index: FloatArray = 100 * np.concatenate([[1.0], np.cumprod(1 + mean)])
    return index
