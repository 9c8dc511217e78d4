"""A parquet file as a pandas frame, held against what its footer says of it."""

import math
from collections.abc import Mapping
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foundry_tasks.data.column_names import NONE_DECLARED
from foundry_tasks.data.dates import is_plausible
from foundry_tasks.data.layouts import refuse_repeated
from foundry_tasks.data.tidy import column_of


def read_parquet(
    source: Path | BytesIO, since: date | None, where: str, columns: Mapping[str, str] = NONE_DECLARED
) -> tuple[pd.DataFrame, int]:
    """The rows from `since` on and those without a date, where a column holds dates as dates; and how many rows there are.

    Raises DataRejectedError for repeated names and values outside what the footer says of them, and whatever the library
    raises for a damaged file.
    """
    size = source.stat().st_size if isinstance(source, Path) else source.getbuffer().nbytes
    file = pq.ParquetFile(source, page_checksum_verification=True)
    schema = file.schema_arrow
    refuse_repeated(schema.names, where)
    _check_footer(file.metadata, size)
    index = _date_column(schema, columns)
    if since is None or index is None:
        table = file.read()
    else:
        dates = pc.field(schema.names[index])
        wanted = (dates >= pa.scalar(since)) | dates.is_null()
        table = pq.read_table(source, filters=wanted, partitioning=None, page_checksum_verification=True)
    _check_values(table, file, whole=table.num_rows == file.metadata.num_rows)
    frame: pd.DataFrame = _plain(table).to_pandas(date_as_object=False)
    return frame, file.metadata.num_rows


def date_bounds(path: Path, columns: Mapping[str, str] = NONE_DECLARED) -> tuple[date, date] | None:
    """First and last date of a parquet file with a column of dates, read from its footer; None where that cannot be.

    What is wrong with it, whoever reads it says.
    """
    try:
        file = pq.ParquetFile(path)
        index, groups = _date_column(file.schema_arrow, columns), file.metadata.num_row_groups
        if index is None or not groups:
            return None
        found = [file.metadata.row_group(group).column(index).statistics for group in range(groups)]
        if any(statistics is None or not statistics.has_min_max for statistics in found):
            return None
        extremes = min(one.min for one in found), max(one.max for one in found)
        first, last = (one.date() if isinstance(one, datetime) else one for one in extremes)
        return (first, last) if is_plausible(first) and is_plausible(last) else None
    except Exception:
        return None


def _date_column(schema: pa.Schema, columns: Mapping[str, str]) -> int | None:
    """Which column holds dates as dates; None where none does, or several may be meant."""
    named = [index for index, name in enumerate(schema.names) if column_of(name, columns) == "date"]
    kinds = [schema.field(index).type for index in named]
    is_dates = [pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None) for kind in kinds]
    return named[0] if is_dates == [True] else None


def _check_footer(metadata: Any, size: int) -> None:
    """A footer that places columns outside the file, or counts values that rows do not have, makes a reader crash."""
    rows = 0
    for at in range(metadata.num_row_groups):
        group = metadata.row_group(at)
        rows += group.num_rows
        for index in range(group.num_columns):
            chunk = group.column(index)
            starts = [chunk.data_page_offset, chunk.dictionary_page_offset if chunk.has_dictionary_page else None]
            start = min(offset for offset in starts if offset is not None)
            flat = metadata.schema.column(index).max_repetition_level == 0
            if start < 0 or chunk.total_compressed_size < 0 or start + chunk.total_compressed_size > size:
                raise ValueError(f"column {chunk.path_in_schema[:40]} is said to lie outside the file")
            if flat and chunk.num_values != group.num_rows:
                raise ValueError(f"column {chunk.path_in_schema[:40]} is said to have another number of rows")
    if rows != metadata.num_rows:
        raise ValueError("its parts are said to have another number of rows than the whole")


def _check_values(table: pa.Table, file: Any, *, whole: bool) -> None:
    """A damaged page without a checksum may be read as other numbers; the footer says between which the true ones lie."""
    metadata = file.metadata
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    leaves = {metadata.schema.column(index).path: index for index in range(len(metadata.schema.names))}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if (
            name not in leaves
            or not groups
            or not (
                pa.types.is_integer(column.type)
                or pa.types.is_floating(column.type)
                or pa.types.is_temporal(column.type)
            )
        ):
            continue
        known = [group.column(leaves[name]).statistics for group in groups]
        if any(one is None or not one.has_min_max for one in known):
            continue
        found = pc.min_max(column).as_py()
        low, high = min(one.min for one in known), max(one.max for one in known)
        if found["min"] is not None and not (_at_most(low, found["min"]) and _at_most(found["max"], high)):
            raise ValueError(f"column {name[:40]} holds values outside of those that its footer names")
        if (
            whole
            and all(one.has_null_count for one in known)
            and column.null_count != sum(one.null_count for one in known)
        ):
            raise ValueError(f"column {name[:40]} lacks another number of values than its footer names")


def _at_most(one: Any, other: Any) -> bool:
    try:
        return bool(one <= other) or (isinstance(one, float) and (math.isnan(one) or math.isnan(other)))
    except TypeError:
        return True


def _plain(table: pa.Table) -> pa.Table:
    """Text that says only that it is bytes, as text; decimals as float64."""
    for index, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
            table = table.set_column(index, field.name, table[index].cast(pa.binary()).cast(pa.string()))
        elif pa.types.is_decimal(kind):
            table = table.set_column(index, field.name, table[index].cast(pa.float64()))
    return table
