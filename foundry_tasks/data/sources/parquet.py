"""Prices from parquet and csv files: a file, or a folder of files."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import ConfigError, DataRejectedError
from foundry_tasks.data.input_files import content_digest, input_files, suffix_of, unread_files

if TYPE_CHECKING:
    import pandas as pd

    from foundry_tasks.contract.stage_io import StageIO

_MOST_NOTES = 20
_PART = re.compile(
    r"(part|chunk)[-_.]?\d+|part-.*|[0-9a-f]{16,}.*|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}.*", re.IGNORECASE
)
"""File names that writers give to the parts of a data set; they are not tickers."""


def open_source(config: PricesConfig, named: str, io: "StageIO | None") -> "FileSource":  # noqa: ARG001 - it needs no run
    """The files of the conf key `prices`. Raises ConfigError without it or without a readable file."""
    if not config.prices:
        raise ConfigError("source='parquet' needs prices: the path of a parquet or csv file, or of a folder of them.")
    return FileSource(config.prices, named or config.prices, config.declared_columns)


class FileSource:
    """A parquet or csv file, or a folder of them read together. Without a ticker column, the file name is the ticker.

    path: file or folder. named: the user's path or URI. columns: declared names, role → column. Raises ConfigError for a path
    without a readable file.
    """

    silent: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: str, named: str, columns: Mapping[str, str] = MappingProxyType({})) -> None:
        self._files = input_files(path, "prices")
        self._place = Path(path).expanduser()
        self._notes: dict[str, dict[str, None]] = {}
        self.name = Path(path).name
        origin = named if "://" in named else str(Path(path).expanduser().resolve())
        self._columns = columns
        declared = {f"column {role}": column for role, column in columns.items()}
        self.identity: Mapping[str, str] = {"source": "parquet", "path": origin, **declared}

    def fingerprint(self) -> str:
        """sha256 over the content of all files, in the order of their names."""
        return content_digest(self._files)

    def last_date(self) -> date:
        """The last date, from the files' footers if all have it, else from the rows."""
        last: date = self._bounds[1] if self._bounds else self._table["date"].max().date()
        return last

    def first_date(self, tickers: Sequence[str]) -> date | None:
        """The first date, found as in `last_date`; of given `tickers` always from the rows."""
        return self._bounds[0] if self._bounds and not tickers else first_date(cut(self._table, tickers, None, None))

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> "pd.DataFrame":
        """As in `PriceSource`. If every file's footer gives its dates, only rows since `start` are read.

        Raises DataRejectedError for files without rows or that cannot be read as prices.
        """
        return cut(self._read(start) if self._bounds else self._table, tickers, start, end)

    def benchmark(self) -> None:
        """None: the benchmark of a user's files has its own conf key."""

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each recognised format or left-out kind of file, of the files read so far."""
        notes = [f"{_names(list(files))}: {sentence}." for sentence, files in sorted(self._notes.items())]
        more = len(notes) - _MOST_NOTES
        return (
            *notes[:_MOST_NOTES],
            *([f"{more:,} more kinds of files are read as they were recognised."] if more > 0 else []),
        )

    def _say(self, sentence: str, *files: str) -> None:
        self._notes.setdefault(sentence, {}).update(dict.fromkeys(files))

    @cached_property
    def _bounds(self) -> tuple[date, date] | None:
        """First and last date of all files; None if a file's footer lacks them."""
        from foundry_tasks.data.parquet_files import date_bounds  # noqa: PLC0415 - a run that reuses its prices needs none

        bounds = [found for path in self._files if (found := date_bounds(path, self._columns)) is not None]
        whole = len(bounds) == len(self._files)
        return (min(first for first, _ in bounds), max(last for _, last in bounds)) if whole else None

    @cached_property
    def _table(self) -> "pd.DataFrame":
        return self._read(None)

    def _read(self, since: date | None) -> "pd.DataFrame":
        import pandas as pd  # noqa: PLC0415 - a run that reuses its prices needs the digest alone

        from foundry_tasks.data.frames import read_file  # noqa: PLC0415 - as above
        from foundry_tasks.data.tickers import one_spelling  # noqa: PLC0415 - as above

        tables = []
        for path in self._files:
            found = read_file(path, since, self._columns)
            if notes := "; ".join(found.notes) if found.rows else "no rows, left out":
                self._say(notes, path.name)
            if len(found.table):
                tables.append(self._tidied(found.table, path))
        if others := unread_files(str(self._place)):
            self._say("left out, for it is hidden or neither parquet nor csv by its name", *others)
        if tables:
            table = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)
            twins: list[str] = []
            table = one_spelling(table, self.name, twins)
            for sentence in twins:
                self._say(sentence, self.name)
            return table
        if since is not None:
            return cut(self._table, (), since, None)
        raise DataRejectedError(f"{self._place} is empty: it holds no rows. Give daily prices.")

    def _tidied(self, table: "pd.DataFrame", path: Path) -> "pd.DataFrame":
        """A file's tidy frame. Without a ticker column, the file name is the ticker, unless it cannot be one."""
        from foundry_tasks.data.tidy import tidy  # noqa: PLC0415 - as above

        name = path.name[: -len(suffix_of(path.name))]
        is_nested = self._place.is_dir() and path.parent != self._place
        named = "" if is_nested or _PART.fullmatch(name) else name
        notes: list[str] = []
        tidied = tidy(table, where=str(path), ticker=named, columns=self._columns, notes=notes)
        for sentence in notes:
            self._say(sentence, path.name)
        if re.fullmatch(r"(19|20)\d\d", name) and set(tidied["ticker"].unique()) == {name} == set(
            tidied["date"].dt.year.astype("str")
        ):
            raise DataRejectedError(
                f"{path} has no column of tickers, and its name is the year of its dates. Add a column ticker."
            )
        return tidied


def _names(files: Sequence[str]) -> str:
    return ", ".join(files[:3]) + (f" and {len(files) - 3:,} more" if len(files) > 3 else "")


def first_date(table: "pd.DataFrame") -> date | None:
    """The earliest date of a tidy frame; None if it is empty."""
    return None if table.empty else table["date"].min().date()


def cut(table: "pd.DataFrame", tickers: Sequence[str], start: date | None, end: date | None) -> "pd.DataFrame":
    """The rows of `tickers` (empty: all) from `start` to `end`, both included; None: no bound."""
    import pandas as pd  # noqa: PLC0415 - as above

    from foundry_tasks.data.tickers import as_prices_write  # noqa: PLC0415 - as above

    wanted = pd.Series(True, index=table.index)
    if tickers:
        wanted &= table["ticker"].isin(list(as_prices_write(tickers, table["ticker"].unique()).values()))
    if start is not None:
        wanted &= table["date"] >= pd.Timestamp(start)
    if end is not None:
        wanted &= table["date"] <= pd.Timestamp(end)
    return table if wanted.all() else table[wanted].reset_index(drop=True)
