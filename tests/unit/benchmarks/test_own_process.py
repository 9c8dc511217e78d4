import os

import numpy as np

from benchmarks.own_process import PeakMemory, in_its_own_process


def test_a_measurement_runs_in_a_process_of_its_own_and_gives_back_what_it_found():
    assert in_its_own_process(os.getpid) != os.getpid()


def test_the_peak_counts_what_was_free_again_at_the_end():
    with PeakMemory() as memory:
        np.ones(12_500_000).sum()
    assert 90 < memory.peak_mb - memory.before_mb < 130
