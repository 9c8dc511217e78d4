"""Panels and small tables as parquet files, without pandas, so that a stage that only reads numbers starts fast.

A panel is written in long format on its full grid, session by session: date, ticker, then one column for each matrix.
Reading it back to wide is a reshape. A column is read alone. A row group holds whole sessions (`group_sessions`), so a range
of dates reads only its own bytes. Equal content gives equal bytes.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.panel import PRICE_FIELDS, AnyArray, DateArray, FeaturePanel, PricePanel, group_sessions
from foundry_tasks.data.sectors import DatedSectors

_KEYS = ("date", "ticker")
_FORMAT = b"foundry"
_SERIES = ("benchmark", "vix")
_DATED_SECTOR = "dated_sector"
"""Column with the sector of each session. A file without it has one sector a ticker, in the column sector."""
_READ_BYTES = 16 << 20
"""Bytes read by one call: a trade-off between the overhead of a call and memory, since the read bytes are held twice."""

DateRange = tuple[date | None, date | None]
"""First and last date, both included; None: no bound."""


@dataclass(frozen=True)
class Matrices:
    """Named matrices on one grid. sessions: (n_sessions,). values: name → (n_sessions, n_tickers), of any type."""

    sessions: DateArray
    tickers: tuple[str, ...]
    values: Mapping[str, AnyArray]

    def __getitem__(self, name: str) -> AnyArray:
        return self.values[name]


# ------------------------------------------------------------------ panels
class PanelWriter(AbstractContextManager["PanelWriter"]):
    """Writes a panel file in blocks of sessions, the earliest first.

    repeated: names of matrices with few distinct values; dictionary encoding makes them small. Blocks of whole row groups
    give the same bytes as a single write.
    """

    def __init__(self, path: Path, *, repeated: Sequence[str] = ()) -> None:
        self._path = path
        self._repeated = repeated
        self._writer: pq.ParquetWriter | None = None

    def write(self, block: Matrices) -> None:
        """Add the next sessions. Raises ValueError for a matrix of another shape."""
        sessions = block.sessions.astype("datetime64[D]")
        n_sessions, n_tickers = len(sessions), len(block.tickers)
        codes = np.tile(np.arange(n_tickers, dtype=np.int32), n_sessions)
        columns: dict[str, pa.Array] = {
            "date": pa.array(np.repeat(sessions, n_tickers)),
            "ticker": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(block.tickers), pa.string())),
        }
        for name, values in block.values.items():
            if values.shape != (n_sessions, n_tickers):
                raise ValueError(f"matrix {name!r} has shape {values.shape}, the panel's is {(n_sessions, n_tickers)}")
            columns[name] = _column(np.ascontiguousarray(values).reshape(-1))
        table = pa.table(columns)
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._path,
                table.schema,
                compression="lz4",
                use_dictionary=[*_KEYS, *self._repeated],
                write_statistics=["date"],
                store_schema=False,
            )
            self._writer.add_key_value_metadata({_FORMAT: str(n_tickers)})
        self._writer.write_table(table, row_group_size=max(1, group_sessions(n_tickers) * n_tickers))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()


def write_matrices(path: Path, panel: Matrices, *, repeated: Sequence[str] = ()) -> None:
    """Write a whole panel. repeated: as in `PanelWriter`. Raises ValueError for a matrix of another shape."""
    with PanelWriter(path, repeated=repeated) as file:
        file.write(panel)


def read_matrices(path: Path, names: Sequence[str] | None = None, between: DateRange = (None, None)) -> Matrices:
    """Read a panel that `write_matrices` wrote.

    names: matrices to read, None for all. between: range of dates. Raises KeyError for an unknown name, DataRejectedError for
    a file of another format.
    """
    reader = _PanelReader(path, between)
    wanted = reader.names if names is None else tuple(names)
    return Matrices(reader.sessions, reader.tickers, {name: reader.matrix(name) for name in wanted})


def panel_names(path: Path) -> tuple[str, ...]:
    """Names of the matrices in a panel file; reads only its footer."""
    return tuple(name for name in pq.read_schema(path).names if name not in _KEYS)


def panel_sessions(path: Path) -> DateArray:
    """(n_sessions,) sessions of a panel file; reads no matrix. Raises DataRejectedError for a file of another format."""
    return _PanelReader(path, (None, None)).sessions


def write_features(path: Path, blocks: Iterable[FeaturePanel]) -> None:
    """Write features (float32) in blocks of sessions, the earliest first."""
    with PanelWriter(path) as file:
        for block in blocks:
            file.write(Matrices(block.sessions, block.tickers, dict(block.items())))


def read_features(path: Path, names: Sequence[str] | None = None, between: DateRange = (None, None)) -> FeaturePanel:
    """Read features. names: in the order wanted, None for all. between: range of dates. Errors as in `read_matrices`."""
    return _PanelReader(path, between).features(names)


class FeatureFile:
    """A file of features as a `FeatureSource`. It is opened once; each access reads its values from disk."""

    def __init__(self, path: Path) -> None:
        self._reader = _PanelReader(path, (None, None))
        self.sessions = self._reader.sessions
        self.tickers = self._reader.tickers
        self.names = self._reader.names

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        matrix: npt.NDArray[np.float32] = self._reader.matrix(name)
        return matrix

    def items(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Pairs of name and matrix, in order; each matrix is read when it is reached."""
        return ((name, self[name]) for name in self.names)

    def panel(self, names: Sequence[str], sessions: slice) -> FeaturePanel:
        """The named features on a range of sessions. Raises KeyError for an unknown name."""
        return self._reader.features(names, sessions)

    def block(self, names: Sequence[str], sessions: slice) -> npt.NDArray[np.float32]:
        """As in `FeatureSource`; reads only the row groups that hold the sessions."""
        return self.panel(names, sessions).values


def write_prices(path: Path, panel: PricePanel) -> None:
    """Write prices; membership, sectors, benchmark, vix and breaks become columns, readable by any tool."""
    shape = (len(panel.sessions), len(panel.tickers))
    values: dict[str, AnyArray] = dict(panel.fields)
    values["member"] = panel.member
    values["sector"] = np.broadcast_to(np.array(panel.sectors, dtype=np.object_), shape)
    if panel.dated_sectors is not None:
        names = np.array(panel.dated_sectors.names, dtype=np.object_)
        values[_DATED_SECTOR] = names[panel.dated_sectors.code]
    if panel.breaks is not None:
        values["break"] = panel.breaks
    for name in _SERIES:
        series = getattr(panel, name)
        if series is not None:
            values[name] = np.broadcast_to(np.asarray(series)[:, None], shape)
    repeated = ("member", "sector", _DATED_SECTOR, "break", *_SERIES)
    write_matrices(path, Matrices(panel.sessions, panel.tickers, values), repeated=repeated)


def read_prices(path: Path, between: DateRange = (None, None)) -> PricePanel:
    """Read prices that `write_prices` wrote. between: range of dates. Raises DataRejectedError for another format."""
    reader = _PanelReader(path, between)
    series = {name: reader.matrix(name)[:, 0] if name in reader.names else None for name in _SERIES}
    dated = DatedSectors(*reader.coded(_DATED_SECTOR)) if _DATED_SECTOR in reader.names else None
    return PricePanel(
        sessions=reader.sessions,
        tickers=reader.tickers,
        fields={name: reader.matrix(name) for name in PRICE_FIELDS if name in reader.names},
        member=reader.matrix("member"),
        sectors=reader.first("sector") if dated is None else dated.last,
        benchmark=series["benchmark"],
        vix=series["vix"],
        breaks=reader.matrix("break") if "break" in reader.names else None,
        dated_sectors=dated,
    )


# ------------------------------------------------------------------ small tables
def write_table(path: Path, columns: Mapping[str, AnyArray | Sequence[str]]) -> None:
    """Write a small long table, such as labels, scores or predictions."""
    table = pa.table({name: _column(np.asarray(values)) for name, values in columns.items()})
    pq.write_table(table, path, compression="lz4", store_schema=False)


def read_table(path: Path, names: Sequence[str] | None = None) -> dict[str, AnyArray]:
    """Read a small table: column name → (n_rows,). names: None for all. Text has dtype object, dates datetime64[D]."""
    table = pq.ParquetFile(path).read(columns=None if names is None else list(names), use_threads=False)
    return {name: _joined(table.column(name)) for name in names or table.column_names}


# ------------------------------------------------------------------ parts
def _column(values: AnyArray) -> pa.Array:
    """A numpy array as an arrow array; text is dictionary-encoded, since it repeats."""
    if values.dtype.kind in "OUT":
        return pa.array(values.tolist(), pa.string()).dictionary_encode()
    return pa.array(values.astype("datetime64[D]") if values.dtype.kind == "M" else values)


def _joined(column: pa.ChunkedArray) -> AnyArray:
    parts = [_values(part) for part in column.chunks]
    return np.concatenate(parts) if parts else _values(pa.array([], column.type))


def _values(part: pa.Array) -> AnyArray:
    """An arrow array as a numpy array. Arrow's own `to_numpy` would import pandas, which takes half a second."""
    kind = part.type
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return np.array(part.to_pylist(), dtype=np.object_)
    if pa.types.is_date32(kind):
        return np.from_dlpack(part.view(pa.int32())).astype("datetime64[D]")
    if pa.types.is_boolean(kind):
        return np.from_dlpack(part.cast(pa.uint8())).view(bool)
    values: AnyArray = np.from_dlpack(part)
    return values


def _fill(chunks: Iterable[pa.Array], before: int, into: AnyArray) -> None:
    """Copy a column's values into the flat array `into`, without the first `before` and without those beyond its end."""
    at = -before
    for part in chunks:
        values = _values(part)[max(0, -at) : len(into) - at]
        place = max(at, 0)
        into[place : place + len(values)] = values
        at += len(part)


class _PanelReader:
    """An open panel file, restricted to a range of dates. Threads may share it; a lock serialises their reads."""

    def __init__(self, path: Path, between: DateRange) -> None:
        self._file = pq.ParquetFile(path)  # not memory-mapped: read pages would stay in memory
        self._reading = threading.Lock()
        metadata = self._file.metadata
        n_tickers = (metadata.metadata or {}).get(_FORMAT)
        if n_tickers is None:
            raise DataRejectedError(f"{path} is not a panel that Foundry wrote. Run the stage that writes it again.")
        self._width = int(n_tickers)
        self.names = tuple(name for name in self._file.schema_arrow.names if name not in _KEYS)
        self._groups = list(self._groups_between(between))
        lengths = [metadata.row_group(group).num_rows // self._width for group in self._groups]
        self._starts = np.cumsum([0, *lengths])
        """Index of each group's first session among the sessions of all selected groups, then their total number."""
        dates = self._flat("date", self._groups)[:: self._width].astype("datetime64[D]")
        first, last = between
        start = 0 if first is None else int(np.searchsorted(dates, np.datetime64(first), "left"))
        stop = len(dates) if last is None else int(np.searchsorted(dates, np.datetime64(last), "right"))
        self._before = start
        self.sessions: DateArray = dates[start:stop]
        self.tickers = self.first("ticker")

    def features(self, names: Sequence[str] | None = None, sessions: slice = slice(None)) -> FeaturePanel:
        """The named matrices as features, in that order; None for all."""
        wanted = self.names if names is None else tuple(names)
        dates = self.sessions[sessions]
        values = np.empty((len(wanted), len(dates), len(self.tickers)), np.float32)
        groups, before = self._groups_of(sessions)
        rows = sum(self._file.metadata.row_group(group).num_rows for group in groups)
        batch = max(1, _READ_BYTES // max(1, rows * values.itemsize))
        for first in range(0, len(wanted), batch):
            columns = self._columns(wanted[first : first + batch], groups)
            for matrix, chunks in zip(values[first:], columns, strict=False):
                _fill(chunks, before, into=matrix.reshape(-1))
        return FeaturePanel(dates, self.tickers, wanted, values)

    def matrix(self, name: str, sessions: slice = slice(None)) -> AnyArray:
        """(n, n_tickers): one matrix on a range of the sessions."""
        groups, before = self._groups_of(sessions)
        n_sessions = len(self.sessions[sessions])
        flat = self._flat(name, groups)[before : before + n_sessions * self._width]
        return flat.reshape(n_sessions, self._width)

    def coded(self, name: str) -> tuple[tuple[str, ...], npt.NDArray[np.int16]]:
        """A text column as its distinct values, sorted, and (n_sessions, n_tickers) int16 indices into them."""
        groups, before = self._groups_of(slice(None))
        (chunks,) = self._columns([name], groups)
        parts = [chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode() for chunk in chunks]
        texts = [part.dictionary.to_pylist() for part in parts]
        names = tuple(sorted({text for known in texts for text in known}))
        code = np.empty(len(self.sessions) * self._width, np.int16)
        at = -before
        for part, known in zip(parts, texts, strict=True):
            into = np.array([names.index(text) for text in known], np.int16)
            found = into[np.from_dlpack(part.indices)][max(0, -at) : len(code) - at]
            code[max(at, 0) : max(at, 0) + len(found)] = found
            at += len(part)
        return names, code.reshape(len(self.sessions), self._width)

    def _groups_of(self, sessions: slice) -> tuple[list[int], int]:
        """The row groups that hold a range of sessions, and the number of their rows before it."""
        start, stop, _ = sessions.indices(len(self.sessions))
        start, stop = start + self._before, max(start, stop) + self._before
        first = max(0, int(np.searchsorted(self._starts, start, "right")) - 1)
        last = int(np.searchsorted(self._starts, stop, "left"))
        return self._groups[first:last], (start - int(self._starts[first])) * self._width

    def first(self, name: str) -> tuple[str, ...]:
        """(n_tickers) values of a text column in the first session."""
        if not self._file.metadata.num_row_groups:
            return ()
        with self._reading:
            head = self._file.read_row_group(0, columns=[name], use_threads=False).column(0)
        return tuple(head.slice(0, self._width).to_pylist())

    def _flat(self, name: str, groups: Sequence[int]) -> AnyArray:
        (chunks,) = self._columns([name], groups)
        parts = [_values(part) for part in chunks]
        if len(parts) == 1:
            return np.array(parts[0])
        return np.concatenate(parts) if parts else np.empty(0, "datetime64[D]" if name == "date" else np.float64)

    def _columns(self, names: Sequence[str], groups: Sequence[int]) -> list[list[pa.Array]]:
        """The chunks of each column."""
        for name in names:
            if name not in (*_KEYS, *self.names):
                raise KeyError(f"{name!r} is not in this panel; it holds {', '.join(self.names)}")
        with self._reading:
            table = self._file.read_row_groups(groups, columns=list(names))
        return [table.column(name).chunks for name in names]

    def _groups_between(self, between: DateRange) -> Iterator[int]:
        first, last = between
        for index in range(self._file.metadata.num_row_groups):
            if (first, last) != (None, None):
                statistics = self._file.metadata.row_group(index).column(0).statistics
                if (first is not None and statistics.max < first) or (last is not None and statistics.min > last):
                    continue
            yield index
