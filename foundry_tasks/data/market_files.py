"""Read a market's other files: benchmark and vix, sectors, and the text columns of membership."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.columns import find_roles, listed
from foundry_tasks.data.dates import NO_START, span_dates
from foundry_tasks.data.frames import Say, read_frame
from foundry_tasks.data.jumps import LARGE_MOVE
from foundry_tasks.data.panel import DateArray, FloatArray
from foundry_tasks.data.price_source import Series
from foundry_tasks.data.sectors import SectorSpan, overlaps
from foundry_tasks.data.tickers import identity, ticker_text
from foundry_tasks.data.tidy import tidy

CARRIED_SESSIONS = 5
"""A missing value of a market-wide series is replaced by the last known one for at most this many sessions."""
_NAMED = 5
"""Number of overlaps of sectors that an error names."""


def read_series(file: Path, key: str, say: Say | None = None) -> Series:
    """Read one market-wide series; an adjusted close takes precedence over a close.

    key: the config key of the series. say: called with a sentence for each recognised format or column. Raises
    DataRejectedError for an unreadable file, several tickers, values ≤ 0, several values on a date, and a benchmark with a
    change of scale.
    """
    notes: list[str] = []
    table = tidy(read_frame(file, say), where=str(file), ticker=key, columns=None, notes=notes)
    if say:
        for sentence in notes:
            say(f"{file.name}: {sentence}")
    if table["ticker"].nunique() > 1:
        raise DataRejectedError(
            f"{file} holds {table['ticker'].nunique()} tickers; {key} is one series. Give a file with one ticker."
        )
    close = table["adj_close"] if "adj_close" in table else table["close"]
    series = pd.DataFrame({"date": table["date"], "close": close}).dropna().drop_duplicates()
    if not (np.isfinite(series["close"]) & (series["close"] > 0)).all():
        raise DataRejectedError(f"{file}: {key} holds values that are not above zero. Correct or remove them.")
    twice = series["date"].duplicated()
    if twice.any():
        first = series.loc[twice, "date"].min().date()
        raise DataRejectedError(
            f"{file}: {key} has several values on {int(twice.sum())} dates, first {first}. Keep one."
        )
    series = series.sort_values("date", ignore_index=True)
    if key == "benchmark":
        _refuse_changes_of_scale(series, file)
    return Series(series, f"file {file.name}")


def _refuse_changes_of_scale(series: pd.DataFrame, file: Path) -> None:
    """Raise DataRejectedError for a move beyond `LARGE_MOVE`. The worst session of the S&P 500 is −20 %; a VIX moves more."""
    factor = series["close"] / series["close"].shift()
    wide = (factor < 1 - LARGE_MOVE) | (factor > 1 / (1 - LARGE_MOVE))
    if wide.any():
        at = int(np.argmax(wide))
        day = series["date"].iloc[at].date()
        raise DataRejectedError(
            f"{file}: benchmark is {factor.iloc[at]:.3g} times the value before on {day}, more than a market moves in a "
            "session: a split or a change of scale. Give an adjusted series."
        )


@dataclass(frozen=True)
class Aligned:
    """A series on a panel's sessions. values: (n_sessions,). warning: a sentence on missing sessions, "" without them."""

    values: FloatArray
    origin: str
    warning: str


def aligned(series: Series, sessions: DateArray, key: str, min_coverage: float) -> Aligned:
    """Align a series to sessions: the session's value, else the last of up to `CARRIED_SESSIONS` before, else NaN.

    A later value is never used. sessions: (n_sessions,). key: the config key of the series. min_coverage: share, 0 to 1.
    Raises DataRejectedError if less than `min_coverage` of the sessions has a value.
    """
    index = pd.DatetimeIndex(sessions.astype("datetime64[s]"))
    own = series.table.set_index("date")["close"].reindex(index)
    values = own.ffill(limit=CARRIED_SESSIONS)
    missing = sessions[own.isna().to_numpy()]
    covered = float(values.notna().mean())
    if covered < min_coverage:
        raise DataRejectedError(
            f"{key} ({series.origin}) has a value on only {covered:.1%} of the sessions from {sessions[0]} to "
            f"{sessions[-1]}. Give a series that covers them, or leave {key} out."
        )
    warning = ""
    if len(missing):
        warning = (
            f"{key}: {series.origin} lacks {len(missing)} of {len(sessions)} sessions, first {missing[0]}; the value before "
            f"stands in for up to {CARRIED_SESSIONS} sessions."
        )
    return Aligned(values.to_numpy(np.float64), series.origin, warning)


def read_sectors(file: Path, say: Say | None = None) -> dict[str, tuple[SectorSpan, ...]]:
    """Ticker → its sectors with their dates. Without both columns, start_date and end_date, a sector has no dates.

    say: called with a sentence on the recognised format. Raises DataRejectedError for a missing column, unreadable dates,
    a sector that ends before it starts, and for a ticker with two sectors on one date, also under two spellings.
    """
    table = read_text_columns(
        read_frame(file, say), file, ("ticker", "sector"), optional=("start_date", "end_date")
    ).dropna(subset=["ticker", "sector"])
    dated = {"start_date", "end_date"} <= set(table)
    kept = table if dated else table[["ticker", "sector"]]
    table = kept.reindex(columns=["ticker", "sector", "start_date", "end_date"])
    starts, ends = span_dates(table, str(file))
    wrong = np.flatnonzero(ends < starts)
    if len(wrong):
        raise DataRejectedError(
            f"{file}: the sector of {table['ticker'].iloc[wrong[0]]} ends before it starts. Correct its dates."
        )
    rows: dict[str, list[tuple[int, str, SectorSpan]]] = {}
    for at, (ticker, sector) in enumerate(zip(table["ticker"], table["sector"], strict=True)):
        span = SectorSpan(sector, starts[at], ends[at], bool(starts[at] != NO_START))
        rows.setdefault(identity(ticker), []).append((int(table.index[at]) + 1, ticker, span))
    _refuse_two_sectors(rows.values(), file, dated=dated)
    return {found[0][1]: tuple(span for _, _, span in found) for found in rows.values()}


def _refuse_two_sectors(rows: Iterable[Sequence[tuple[int, str, SectorSpan]]], file: Path, *, dated: bool) -> None:
    """Raise DataRejectedError, naming pairs of rows, for tickers with two sectors on one date.

    rows: for each ticker, number of the row, ticker as written, span.
    """
    faults = []
    for found in rows:
        for first, second in overlaps([span for _, _, span in found]):
            (row, spelled, one), (other_row, other_spelled, other) = found[first], found[second]
            day = max(one.first, other.first)
            when = f" on {day}" if day != NO_START else ""
            as_both = f", as {spelled} and {other_spelled}" if spelled != other_spelled else ""
            faults.append(
                f"rows {row} and {other_row}: {other_spelled} has several sectors{when}{as_both}, {one.sector} and "
                f"{other.sector}"
            )
    if faults:
        more = [f"{len(faults) - _NAMED} more"] if len(faults) > _NAMED else []
        advice = (
            "End one before the next starts" if dated else "Keep one line a ticker, or give start_date and end_date"
        )
        raise DataRejectedError(f"{file}: {'; '.join(faults[:_NAMED] + more)}. {advice}.")


def read_text_columns(
    raw: pd.DataFrame, file: Path, names: Sequence[str], optional: Sequence[str] = ()
) -> pd.DataFrame:
    """The columns `names`, and those of `optional` that exist, as stripped text; "" is missing.

    raw: the frame of `file`. Raises DataRejectedError for a missing column.
    """
    at = find_roles(raw, (*names, *optional), str(file)).at
    missing = [name for name in names if name not in at]
    if missing:
        raise DataRejectedError(
            f"{file}: no column {', '.join(missing)}; it has {listed(raw.columns)}. It needs {', '.join(names)}."
        )
    text = {name: ticker_text(raw.iloc[:, position]) for name, position in at.items()}
    return pd.DataFrame({name: values.where(values != "") for name, values in text.items()})
