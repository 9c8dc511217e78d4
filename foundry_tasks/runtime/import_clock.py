"""Measures import time. Each stage is a process of its own, so a run of nine stages imports nine times."""

import builtins
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import ParamSpec

P = ParamSpec("P")


class ImportClock:
    """Sums the seconds that the main thread spends in imports. Nested imports count once.

    Imports on other threads run during the work, do not delay the run, and are not counted.
    """

    def __init__(self) -> None:
        self.started = time.perf_counter()
        """`time.perf_counter()` when the clock was created."""
        self.seconds = 0.0
        self._depth = 0
        self._import = builtins.__import__

    def start(self) -> None:
        """Measure imports from now on."""
        builtins.__import__ = self._timed(self._import)

    def _timed(self, load: Callable[P, ModuleType]) -> Callable[P, ModuleType]:
        def timed(*arguments: P.args, **keywords: P.kwargs) -> ModuleType:
            if self._depth or threading.current_thread() is not threading.main_thread():
                return load(*arguments, **keywords)
            self._depth, started = 1, time.perf_counter()
            try:
                return load(*arguments, **keywords)
            finally:
                self._depth = 0
                self.seconds += time.perf_counter() - started

        return timed


PROCESS = ImportClock()
"""The clock of this process. `foundry` imports this module first and then starts the clock."""
