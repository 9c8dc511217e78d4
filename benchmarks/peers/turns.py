"""The peer's side of `benchmarks.peer.Peer`, without Foundry."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np


def take_turns(compute: Callable[[], Mapping[str, np.ndarray]]) -> None:
    """Serve requests: `turn` computes and answers with seconds and CPU seconds; `save PATH` computes and writes the arrays."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # output of libraries must not mix with answers
    for line in sys.stdin:
        started, cpu_started = time.perf_counter(), time.process_time()
        made = compute()
        spent = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu_started}
        if line.startswith("save "):
            np.savez(line.removeprefix("save ").strip(), **made)  # type: ignore[arg-type] # one argument name is a flag of NumPy
        print(json.dumps(spent), file=answers)
