"""Matrices that wait on disk while the next ones are computed."""

import os
import tempfile
from contextlib import AbstractContextManager
from types import TracebackType

import numpy as np
import numpy.typing as npt


class TemporaryMatrices(AbstractContextManager["TemporaryMatrices"]):
    """A flat row of float32 in a temporary file, which is deleted when this closes. Threads may share one."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - __exit__ closes it

    def write(self, at: int, values: npt.NDArray[np.float32]) -> None:
        """Save values, C-contiguous; at: the place of the first one."""
        written, rest = 0, values.data.cast("B")
        while written < len(rest):
            written += os.pwrite(self._file.fileno(), rest[written:], at * values.itemsize + written)

    def read(self, at: int, into: npt.NDArray[np.float32]) -> None:
        """Fill an array, C-contiguous, with the values from place `at` on."""
        os.preadv(self._file.fileno(), [into.data], at * into.itemsize)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
