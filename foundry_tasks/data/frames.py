"""A parquet or csv file as a pandas frame, or one clear line about why it is none."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.input_files import PARQUET
from foundry_tasks.data.tidy import NO_VALUE, column_of

TEXT_COLUMNS = ("date", "ticker", "sector", "start_date", "end_date")


def read_frame(path: Path) -> pd.DataFrame:
    """A file as it is. Raises DataRejectedError where it is empty, cut off or not what its name says."""
    if not path.stat().st_size:
        raise DataRejectedError(f"{path} is empty. Give a file with daily prices.")
    kind = "parquet" if path.name.lower().endswith(PARQUET) else "csv"
    try:
        return _read_csv(path) if kind == "csv" else _read_parquet(path)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160].rstrip(". ")
        raise DataRejectedError(
            f"{path} cannot be read as {kind}: {reason}. It may be cut off or damaged: write or download it again."
        ) from error


def _read_parquet(path: Path) -> pd.DataFrame:
    frame: pd.DataFrame = pq.ParquetFile(path).read().to_pandas(date_as_object=False)
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    """A csv whose tickers stay text: NA and TRUE are companies."""
    header = pd.read_csv(path, nrows=0, skipinitialspace=True).columns
    text = {str(name): "str" for name in header if column_of(str(name)) in TEXT_COLUMNS}
    missing = {str(name): [""] if str(name) in text else list(NO_VALUE) for name in header}
    return pd.read_csv(path, dtype=text, na_values=missing, keep_default_na=False, skipinitialspace=True)
