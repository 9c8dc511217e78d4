"""Parquet files of tidy frames, for snapshots. Equal bars give equal bytes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def write_bars(table: pd.DataFrame, path: Path) -> Path:
    """Write a tidy frame; returns `path`."""
    columns = {
        "date": pa.array(table["date"].to_numpy().astype("datetime64[D]")),
        "ticker": pa.array(table["ticker"], pa.string()).dictionary_encode(),
    }
    columns |= {name: pa.array(table[name].to_numpy(np.float64)) for name in table.columns if name not in columns}
    pq.write_table(pa.table(columns), path, compression="lz4", store_schema=False)
    return path


def read_bars(path: Path) -> pd.DataFrame:
    """Read a tidy frame that `write_bars` wrote."""
    table: pd.DataFrame = pq.read_table(path).to_pandas(date_as_object=False)
    return table.astype({"date": "datetime64[s]", "ticker": "str"})
