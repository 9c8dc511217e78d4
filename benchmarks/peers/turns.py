"""A peer's side of `benchmarks.peer.Peer`; peers know nothing of Foundry."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np


def take_turns(compute: Callable[[], Mapping[str, np.ndarray]]) -> None:
    """Compute whenever asked: `turn` is answered with the seconds it took, of CPU too, `save PATH` writes what it made."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        started, cpu_started = time.perf_counter(), time.process_time()
        made = compute()
        spent = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu_started}
        if line.startswith("save "):
            np.savez(line.removeprefix("save ").strip(), **made)  # type: ignore[arg-type] # one name is a flag of NumPy's
        print(json.dumps(spent), file=answers)
