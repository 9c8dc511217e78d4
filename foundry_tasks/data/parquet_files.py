"""Read a parquet file as a pandas frame and check its values against the statistics of its footer."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foundry_tasks.data.column_names import NONE_DECLARED
from foundry_tasks.data.dates import is_plausible
from foundry_tasks.data.layouts import refuse_repeated
from foundry_tasks.data.tidy import column_of

Bound = TypeVar("Bound", float, date)
"""A value of an ordered column."""


def read_parquet(
    source: Path | BytesIO, since: date | None, where: str, columns: Mapping[str, str] = NONE_DECLARED
) -> tuple[pd.DataFrame, int]:
    """The frame, and the number of rows of the file. With a date-typed column: rows from `since` on or without a date.

    where: the source in an error. columns: declared names, role → column. Raises DataRejectedError for repeated names,
    ValueError for values outside the footer's statistics, and pyarrow's errors for a damaged file.
    """
    file = pq.ParquetFile(source, page_checksum_verification=True)
    schema, metadata = file.schema_arrow, file.metadata
    refuse_repeated(schema.names, where)
    groups, dated = list(range(metadata.num_row_groups)), _date_column(schema, columns)
    if since is not None and dated is not None:
        bounds = _bounds(file, dated)
        groups = [group for group in groups if (found := bounds[group]) is None or found[1] >= since]
    table = file.read() if len(groups) == metadata.num_row_groups else file.read_row_groups(groups)
    _check_values(table, [metadata.row_group(group) for group in groups], _leaves(file))
    if since is not None and dated is not None:
        days = table[dated].cast(pa.date32(), safe=False)
        table = table.filter(pc.fill_null(pc.greater_equal(days, pa.scalar(since)), fill_value=True))
    frame: pd.DataFrame = _plain(table).to_pandas(date_as_object=False)
    return frame, metadata.num_rows


def date_bounds(path: Path, columns: Mapping[str, str] = NONE_DECLARED) -> tuple[date, date] | None:
    """First and last date of a parquet file by its footer.

    None without one date-typed column, without statistics, with implausible dates, or on any error: `read_parquet` reports
    errors. columns: declared names, role → column.
    """
    try:
        file = pq.ParquetFile(path)
        dated = _date_column(file.schema_arrow, columns)
        bounds = [None] if dated is None else _bounds(file, dated)
    except Exception:
        return None
    known = [found for found in bounds if found is not None]
    if not bounds or len(known) < len(bounds):
        return None
    first, last = min(low for low, _ in known), max(high for _, high in known)
    return (first, last) if is_plausible(first) and is_plausible(last) else None


def _bounds(file: pq.ParquetFile, name: str) -> list[tuple[date, date] | None]:
    """First and last date of each row group by the footer; None without statistics or with a missing date."""
    found: list[tuple[date, date] | None] = []
    leaf = _leaves(file)[name]
    for group in range(file.metadata.num_row_groups):
        # Reading a batch raises for a damaged footer; access to the statistics of one would end the process.
        next(file.iter_batches(batch_size=1, row_groups=[group], columns=[name]), None)
        known = file.metadata.row_group(group).column(leaf).statistics
        if known is None or not known.has_min_max or not known.has_null_count or known.null_count:
            found.append(None)
        else:
            first, last = (one.date() if isinstance(one, datetime) else one for one in (known.min, known.max))
            found.append((first, last))
    return found


def _leaves(file: pq.ParquetFile) -> dict[str, int]:
    """Index in the footer of each column that is not nested."""
    schema = file.metadata.schema
    return {schema.column(index).path: index for index in range(len(schema.names))}


def _date_column(schema: pa.Schema, columns: Mapping[str, str]) -> str | None:
    """The one date column with a date or timestamp type; None without one or with several candidates."""
    named = [index for index, name in enumerate(schema.names) if column_of(name, columns) == "date"]
    kinds = [schema.field(index).type for index in named]
    is_dates = [pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None) for kind in kinds]
    return str(schema.names[named[0]]) if is_dates == [True] else None


def _check_values(table: pa.Table, groups: Sequence[pq.RowGroupMetaData], leaves: Mapping[str, int]) -> None:
    """Raise ValueError for values outside the footer's minimum and maximum, or another number of missing values.

    A damaged page without a checksum may be read as other numbers. groups: metadata of the row groups that were read;
    reading them first has raised for a damaged footer, whose statistics would end the process.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name not in leaves or not groups or not _is_ordered(column.type):
            continue
        known = [group.column(leaves[name]).statistics for group in groups]
        if any(one is None or not one.has_min_max for one in known):
            continue
        found = pc.min_max(column).as_py()
        low, high = min(one.min for one in known), max(one.max for one in known)
        if found["min"] is not None and not (_at_most(low, found["min"]) and _at_most(found["max"], high)):
            raise ValueError(f"column {name[:40]} holds values outside the minimum and maximum of its footer")
        if all(one.has_null_count for one in known) and column.null_count != sum(one.null_count for one in known):
            raise ValueError(f"column {name[:40]} has another number of missing values than its footer says")


def _is_ordered(kind: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_date, pa.types.is_timestamp)
    return any(check(kind) for check in checks)


def _at_most(one: Bound, other: Bound) -> bool:
    try:
        return bool(one <= other) or (isinstance(one, float) and (math.isnan(one) or math.isnan(other)))
    except TypeError:
        return True


def _plain(table: pa.Table) -> pa.Table:
    """Convert binary columns to text and decimal columns to float64."""
    for index, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
            table = table.set_column(index, field.name, table[index].cast(pa.binary()).cast(pa.string()))
        elif pa.types.is_decimal(kind):
            table = table.set_column(index, field.name, table[index].cast(pa.float64()))
    return table
