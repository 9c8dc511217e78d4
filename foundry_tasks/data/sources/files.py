"""Prices from parquet and csv: a file, or a folder of files."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from foundry_tasks.data.input_files import content_digest, input_files

if TYPE_CHECKING:
    import pandas as pd


class FileSource:
    """A parquet or csv file, or a folder of them read together; one without a ticker column is named after itself."""

    silent: Mapping[str, str] = MappingProxyType({})
    live = False

    def __init__(self, path: str, named: str) -> None:
        self._files = input_files(path, "prices")
        self.name = Path(path).name
        origin = named if "://" in named else str(Path(path).expanduser().resolve())
        self.identity: Mapping[str, str] = {"source": "parquet", "path": origin}

    def fingerprint(self) -> str:
        return content_digest(self._files)

    def last_date(self) -> date:
        last: date = self._bounds[1] if self._bounds else self._table["date"].max().date()
        return last

    def first_date(self, tickers: Sequence[str]) -> date | None:
        return self._bounds[0] if self._bounds and not tickers else first_date(cut(self._table, tickers, None, None))

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> "pd.DataFrame":
        return cut(self._read(start) if self._bounds else self._table, tickers, start, end)

    def benchmark(self) -> None:
        return None

    @cached_property
    def _bounds(self) -> tuple[date, date] | None:
        """First and last date, where every file's footer says them."""
        from foundry_tasks.data.frames import date_bounds  # noqa: PLC0415 - a run that reuses its prices needs none

        bounds = [found for path in self._files if (found := date_bounds(path)) is not None]
        whole = len(bounds) == len(self._files)
        return (min(first for first, _ in bounds), max(last for _, last in bounds)) if whole else None

    @cached_property
    def _table(self) -> "pd.DataFrame":
        return self._read(None)

    def _read(self, since: date | None) -> "pd.DataFrame":
        import pandas as pd  # noqa: PLC0415 - a run that reuses its prices needs the digest alone

        from foundry_tasks.data.frames import read_frame  # noqa: PLC0415 - as above
        from foundry_tasks.data.tidy import tidy  # noqa: PLC0415 - as above

        tables = [
            tidy(frame, where=str(path), ticker=path.name.split(".")[0])
            for path in self._files
            if len(frame := read_frame(path, since)) or since is None
        ]
        if not tables:
            return cut(self._table, (), since, None)
        return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


def first_date(table: "pd.DataFrame") -> date | None:
    """The earliest date of a tidy frame; None of an empty one."""
    return None if table.empty else table["date"].min().date()


def cut(table: "pd.DataFrame", tickers: Sequence[str], start: date | None, end: date | None) -> "pd.DataFrame":
    """The rows of `tickers` (empty: all) between two dates, both included."""
    import pandas as pd  # noqa: PLC0415 - as above

    wanted = pd.Series(True, index=table.index)
    if tickers:
        wanted &= table["ticker"].isin(list(tickers))
    if start is not None:
        wanted &= table["date"] >= pd.Timestamp(start)
    if end is not None:
        wanted &= table["date"] <= pd.Timestamp(end)
    return table if wanted.all() else table[wanted].reset_index(drop=True)
