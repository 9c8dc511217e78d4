"""A measurement in a process of its own, whose memory is its own too."""

import ctypes
import gc
import multiprocessing
import os
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import pyarrow as pa

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_OWN = Path("/proc/self")


def in_its_own_process(call: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """What `call` returns in a fresh interpreter."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *args, **kwargs).result()


class PeakMemory:
    """The most memory that the process held inside a `with` block, in MB (10⁶ bytes), and what it held before. Linux only."""

    def __enter__(self) -> Self:
        gc.collect()
        # What is free already is nobody's need.
        pa.default_memory_pool().release_unused()
        ctypes.CDLL(None).malloc_trim(0)
        (_OWN / "clear_refs").write_text("5")  # forgets the peak so far
        self.before_mb = _resident("VmRSS")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.peak_mb = _resident("VmHWM")


def _resident(what: str) -> float:
    found = re.search(rf"{what}:\s+(\d+) kB", (_OWN / "status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def environment_in(folder: Path) -> dict[str, str]:
    """What a stage's process is told, with a store and a registry of its own in `folder`."""
    environment = os.environ | {
        "FOUNDRY_STORE": str(folder / "store"),
        "FOUNDRY_MLFLOW_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "FOUNDRY_MLFLOW_ARTIFACTS": str(folder / "mlartifacts"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled code halves start-up
    return environment
