"""Read a file as a pandas frame with one row per date and ticker; errors are one line each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path

import pandas as pd

from foundry_tasks.contract.errors import DataRejectedError, FoundryError
from foundry_tasks.data.column_names import NONE_DECLARED
from foundry_tasks.data.dates import written_dates
from foundry_tasks.data.input_files import PARQUET, partitions, suffix_of
from foundry_tasks.data.layouts import is_date, long_frame, with_dates
from foundry_tasks.data.parquet_files import read_parquet
from foundry_tasks.data.text_files import read_text
from foundry_tasks.data.tidy import column_of
from foundry_tasks.data.unpacking import PARQUET_MAGIC, packing_of, unpacked

Say = Callable[[str], None]
"""Receives a sentence about a file, such as a run's warnings."""


@dataclass(frozen=True)
class ReadFile:
    """table: input of `tidy`. rows: number in the whole file. notes: recognised formats, as predicates of the file."""

    table: pd.DataFrame
    rows: int
    notes: tuple[str, ...]


def read_frame(path: Path, say: Say | None = None) -> pd.DataFrame:
    """The rows of a file. Raises DataRejectedError if it is empty, damaged or ambiguous.

    say: called with one sentence on the recognised formats, if there are any.
    """
    found = read_file(path)
    if say and found.notes:
        say(f"{path.name}: {'; '.join(found.notes)}")
    if not found.rows and not len(found.table.columns):
        raise DataRejectedError(f"{path} is empty. Give a file with daily prices.")
    return found.table


def read_file(path: Path, since: date | None = None, columns: Mapping[str, str] = NONE_DECLARED) -> ReadFile:
    """Read a file and report the recognised formats.

    since: of a parquet file with a date-typed column, only rows from this date on are read. columns: declared names, role →
    column. An empty file has no rows and no columns. Raises DataRejectedError if the file is damaged or ambiguous.
    """
    kind = "parquet" if suffix_of(path.name).lower().startswith(PARQUET) else "csv"
    try:
        frame, rows, notes = _read(path, since, columns)
    except FoundryError:
        raise
    except Exception as error:  # a reader may raise any error for a damaged file
        reason = " ".join(str(error).split())[:120].rstrip(". ") or type(error).__name__
        raise DataRejectedError(
            f"{path} cannot be read as {kind}: {reason}. It may be cut off or damaged: write or download it again."
        ) from error
    where = str(path)
    frame, index = with_dates(frame)
    frame, dates = _with_read_dates(frame, where)
    frame, layout = long_frame(frame, where)
    frame, folders = _with_partitions(frame, path, where)
    return ReadFile(frame, rows, (*notes, *layout, *index, *dates, *folders))


def _read(path: Path, since: date | None, columns: Mapping[str, str]) -> tuple[pd.DataFrame, int, list[str]]:
    if not path.stat().st_size:
        return pd.DataFrame(), 0, []
    packing = packing_of(path)
    data = unpacked(path, packing) if packing else b""
    with path.open("rb") as stream:
        head = data[:4] if packing else stream.read(4)
    if head == PARQUET_MAGIC or (not packing and suffix_of(path.name).lower() in PARQUET):
        return *read_parquet(BytesIO(data) if packing else path, since, str(path), columns), []
    frame, notes = read_text(data if packing else path.read_bytes(), str(path), columns)
    return frame, len(frame), notes


def _with_read_dates(frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Parse dates in a format other than YYYY-MM-DD, and report the format."""
    dtypes = list(frame.dtypes)
    dated = [at for at, name in enumerate(frame.columns) if is_date(name, dtypes[at])]
    if len(dated) != 1 or dtypes[dated[0]] != "str":
        return frame, []
    name = frame.columns[dated[0]]
    dates, form = written_dates(frame.iloc[:, dated[0]], f"{where}: column {name}")
    if not form:
        return frame, []
    columns = {at: dates if at == dated[0] else frame.iloc[:, at] for at in range(frame.shape[1])}
    return pd.DataFrame(columns).set_axis(frame.columns, axis=1), [f"dates written {form}"]


def _with_partitions(frame: pd.DataFrame, path: Path, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Add the columns of partition folders, such as ticker=IBM, to the frame, as text."""
    joined = []
    for name, value in partitions(path).items():
        same = [column for column in frame.columns if isinstance(column, str) and column_of(column) == column_of(name)]
        if not same:
            frame = frame.assign(**{name: pd.Series(value, index=frame.index, dtype="str")})
            joined.append(name)
        elif column_of(name) == "ticker" and len(frame) and set(frame[same[0]].astype("str")) != {value}:
            raise DataRejectedError(
                f"{where} lies in a folder {name}={value} and has a column {same[0]} with other values, such as "
                f"{str(frame[same[0]].iloc[0])[:40]!r}. Remove or correct one of them."
            )
    return frame, [f"{', '.join(joined)} from the names of folders"] if joined else []
