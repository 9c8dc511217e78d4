"""How long a process imports: start-up is paid once a stage, and a nine-stage run pays it nine times."""

import builtins
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class ImportClock:
    """Adds up the seconds that the main thread spends importing, nested imports counted once.

    What another thread loads beside the work costs the run nothing and is not counted.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._import = builtins.__import__

    def start(self) -> None:
        """Count from now on."""
        builtins.__import__ = self._timed(self._import)

    def _timed(self, load: Callable[P, R]) -> Callable[P, R]:
        def timed(*arguments: P.args, **keywords: P.kwargs) -> R:
            if self._depth or threading.current_thread() is not threading.main_thread():
                return load(*arguments, **keywords)
            self._depth, started = 1, time.perf_counter()
            try:
                return load(*arguments, **keywords)
            finally:
                self._depth = 0
                self.seconds += time.perf_counter() - started

        return timed
