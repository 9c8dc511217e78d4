"""Temporary storage of matrices on disk."""

import os
import tempfile
from contextlib import AbstractContextManager
from types import TracebackType

import numpy as np
import numpy.typing as npt


class TemporaryMatrices(AbstractContextManager["TemporaryMatrices"]):
    """A flat array of float32 in a temporary file that is deleted on exit. Threads may share it."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - __exit__ closes it

    def write(self, at: int, values: npt.NDArray[np.float32]) -> None:
        """Write C-contiguous values. at: index of the first value in the flat array."""
        written, rest = 0, values.data.cast("B")
        while written < len(rest):
            written += os.pwrite(self._file.fileno(), rest[written:], at * values.itemsize + written)

    def read(self, at: int, into: npt.NDArray[np.float32]) -> None:
        """Fill a C-contiguous array with the values from index `at` on."""
        os.preadv(self._file.fileno(), [into.data], at * into.itemsize)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
