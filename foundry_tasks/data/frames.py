"""A parquet or csv file as a pandas frame, or one clear line about why it is none."""

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.column_names import NONE_DECLARED
from foundry_tasks.data.dates import is_plausible
from foundry_tasks.data.input_files import PARQUET
from foundry_tasks.data.tidy import NO_VALUE, column_of

TEXT_COLUMNS = ("date", "ticker", "sector", "start_date", "end_date")


def read_frame(path: Path, since: date | None = None, columns: Mapping[str, str] = NONE_DECLARED) -> pd.DataFrame:
    """A file as it is; of a parquet file with a column of dates, the rows from `since` on and those without a date.

    Raises DataRejectedError where it is empty, cut off or not what its name says.
    """
    if not path.stat().st_size:
        raise DataRejectedError(f"{path} is empty. Give a file with daily prices.")
    kind = "parquet" if path.name.lower().endswith(PARQUET) else "csv"
    try:
        return _read_csv(path, columns) if kind == "csv" else _read_parquet(path, since, columns)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160].rstrip(". ")
        raise DataRejectedError(
            f"{path} cannot be read as {kind}: {reason}. It may be cut off or damaged: write or download it again."
        ) from error


def date_bounds(path: Path, columns: Mapping[str, str] = NONE_DECLARED) -> tuple[date, date] | None:
    """First and last date of a parquet file with a column of dates, read from its footer; None where that cannot be.

    What is wrong with it, whoever reads it says.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError):
        return None
    index, groups = _date_column(file.schema_arrow, columns), file.metadata.num_row_groups
    if index is None or not groups:
        return None
    found = [file.metadata.row_group(group).column(index).statistics for group in range(groups)]
    if any(statistics is None or not statistics.has_min_max for statistics in found):
        return None
    extremes = min(one.min for one in found), max(one.max for one in found)
    first, last = (one.date() if isinstance(one, datetime) else one for one in extremes)
    return (first, last) if is_plausible(first) and is_plausible(last) else None


def _date_column(schema: pa.Schema, columns: Mapping[str, str]) -> int | None:
    """Which column holds dates as dates; None where none does, or several may be meant."""
    named = [index for index, name in enumerate(schema.names) if column_of(name, columns) == "date"]
    kinds = [schema.field(index).type for index in named]
    is_dates = [pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None) for kind in kinds]
    return named[0] if is_dates == [True] else None


def _read_parquet(path: Path, since: date | None, columns: Mapping[str, str]) -> pd.DataFrame:
    file = pq.ParquetFile(path)
    index = _date_column(file.schema_arrow, columns)
    if since is None or index is None:
        table = file.read()
    else:
        dates = pc.field(file.schema_arrow.names[index])
        table = pq.read_table(path, filters=(dates >= pa.scalar(since)) | dates.is_null(), partitioning=None)
    frame: pd.DataFrame = table.to_pandas(date_as_object=False)
    return frame


def _read_csv(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """A csv whose tickers stay text: NA and TRUE are companies."""
    header = pd.read_csv(path, nrows=0, skipinitialspace=True).columns
    text = {str(name): "str" for name in header if column_of(str(name), columns) in TEXT_COLUMNS}
    missing = {str(name): [""] if str(name) in text else list(NO_VALUE) for name in header}
    return pd.read_csv(path, dtype=text, na_values=missing, keep_default_na=False, skipinitialspace=True)
