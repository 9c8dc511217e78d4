"""Measurements in a new process, whose memory is measured alone."""

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
    """The result of `call` in a new interpreter."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *args, **kwargs).result()


class PeakMemory:
    """Peak memory of the process inside a `with` block, and memory before it, in MB (10⁶ bytes). Linux only."""

    def __enter__(self) -> Self:
        gc.collect()
        # Return free memory to the system first, so that it does not count.
        pa.default_memory_pool().release_unused()
        ctypes.CDLL(None).malloc_trim(0)
        (_OWN / "clear_refs").write_text("5")  # resets the peak
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
    """Environment of a stage's process, with store and registry in `folder`."""
    environment = os.environ | {
        "FOUNDRY_STORE": str(folder / "store"),
        "FOUNDRY_MLFLOW_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "FOUNDRY_MLFLOW_ARTIFACTS": str(folder / "mlartifacts"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled bytecode halves start-up
    return environment
