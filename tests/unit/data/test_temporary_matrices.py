"""Matrices stored temporarily on disk are read back unchanged, from any folder."""

import numpy as np
import pytest

from foundry_tasks.data.temporary_matrices import TemporaryMatrices


def test_a_part_of_what_was_written_is_read_from_its_place():
    rows = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    found = np.empty((2, 4), np.float32)
    with TemporaryMatrices() as waiting:
        waiting.write(12, rows[1])
        waiting.write(0, rows[0])
        waiting.read(16, found)
    assert np.array_equal(found, rows[1, 1:])


def test_nothing_can_be_read_once_it_is_closed():
    with TemporaryMatrices() as waiting:
        waiting.write(0, np.ones(4, np.float32))
    with pytest.raises(ValueError, match="closed file"):
        waiting.read(0, np.empty(4, np.float32))
