"""A parquet file as a pandas frame, held against what its footer says of it."""

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
"""A value of a column that has an order."""


def read_parquet(
    source: Path | BytesIO, since: date | None, where: str, columns: Mapping[str, str] = NONE_DECLARED
) -> tuple[pd.DataFrame, int]:
    """The rows from `since` on and those without a date, where a column holds dates as dates; and how many rows there are.

    Raises DataRejectedError for repeated names and values outside what the footer says of them, and whatever the library
    raises for a damaged file.
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
    """First and last date of a parquet file with a column of dates, read from its footer; None where that cannot be.

    What is wrong with it, whoever reads it says.
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
    """First and last date of each row group by the footer; None where it does not say, or a row has no date."""
    found: list[tuple[date, date] | None] = []
    leaf = _leaves(file)[name]
    for group in range(file.metadata.num_row_groups):
        # The reader refuses a damaged footer, pyarrow's view of its statistics ends the process.
        next(file.iter_batches(batch_size=1, row_groups=[group], columns=[name]), None)
        known = file.metadata.row_group(group).column(leaf).statistics
        if known is None or not known.has_min_max or not known.has_null_count or known.null_count:
            found.append(None)
        else:
            first, last = (one.date() if isinstance(one, datetime) else one for one in (known.min, known.max))
            found.append((first, last))
    return found


def _leaves(file: pq.ParquetFile) -> dict[str, int]:
    """Where each column that is not nested stands in the footer."""
    schema = file.metadata.schema
    return {schema.column(index).path: index for index in range(len(schema.names))}


def _date_column(schema: pa.Schema, columns: Mapping[str, str]) -> str | None:
    """Which column holds dates as dates; None where none does, or several may be meant."""
    named = [index for index, name in enumerate(schema.names) if column_of(name, columns) == "date"]
    kinds = [schema.field(index).type for index in named]
    is_dates = [pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None) for kind in kinds]
    return str(schema.names[named[0]]) if is_dates == [True] else None


def _check_values(table: pa.Table, groups: Sequence[pq.RowGroupMetaData], leaves: Mapping[str, int]) -> None:
    """A damaged page without a checksum may be read as other numbers; the footer says between which the true ones lie.

    groups: of the footer, all that were read: the reader has refused those whose statistics end the process.
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
            raise ValueError(f"column {name[:40]} holds values outside of those that its footer names")
        if all(one.has_null_count for one in known) and column.null_count != sum(one.null_count for one in known):
            raise ValueError(f"column {name[:40]} lacks another number of values than its footer names")


def _is_ordered(kind: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_date, pa.types.is_timestamp)
    return any(check(kind) for check in checks)


def _at_most(one: Bound, other: Bound) -> bool:
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
