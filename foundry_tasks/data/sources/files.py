"""Prices from parquet and csv: a file, or a folder of files."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tasks.data.input_files import content_digest, input_files

if TYPE_CHECKING:
    import pandas as pd


class FileSource:
    """A parquet or csv file, or a folder of them read together; one without a ticker column is named after itself."""

    live = False

    def __init__(self, path: str, named: str) -> None:
        self._files = input_files(path, "prices")
        self.name = Path(path).name
        origin = named if "://" in named else str(Path(path).expanduser().resolve())
        self.identity: Mapping[str, str] = {"source": "parquet", "path": origin}

    def fingerprint(self) -> str:
        return content_digest(self._files)

    def last_date(self) -> date:
        last: date = self._table["date"].max().date()
        return last

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> "pd.DataFrame":
        return cut(self._table, tickers, start, end)

    def benchmark(self) -> None:
        return None

    @cached_property
    def _table(self) -> "pd.DataFrame":
        import pandas as pd  # noqa: PLC0415 - a run that reuses its prices needs the digest alone

        from foundry_tasks.data.frames import read_frame  # noqa: PLC0415 - as above
        from foundry_tasks.data.tidy import tidy  # noqa: PLC0415 - as above

        tables = [tidy(read_frame(path), where=str(path), ticker=path.name.split(".")[0]) for path in self._files]
        return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


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
