"""Steps of a stage: the seconds that they take, and a display of progress."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A progress bar on a terminal, plain lines elsewhere."""

    def start(self, label: str, total: int) -> None:
        """Begin work of `total` steps. label: name of the work, one or two words."""

    def advance(self, note: str = "") -> None:
        """One step is done. note: name of the step."""


class Steps:
    """Seconds of a stage's steps, and its progress."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.elapsed_s: dict[str, float] = {}
        self._counting = threading.Lock()

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Measure the seconds of a step. Steps of one name add up, also those of concurrent threads."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._counting:
                self.elapsed_s[name] = self.elapsed_s.get(name, 0.0) + time.perf_counter() - started
