"""How far a stage is: the seconds of its steps, and its progress for whoever watches."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A progress bar on a terminal, plain lines where there is none."""

    def start(self, label: str, total: int) -> None:
        """Begin work of `total` steps. label: what is done, in a word or two."""

    def advance(self, note: str = "") -> None:
        """One step is done. note: what it was."""


class Steps:
    """The steps of a stage."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.elapsed_s: dict[str, float] = {}
        self._counting = threading.Lock()

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the seconds of a step; several of one name add up, those of threads side by side too."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._counting:
                self.elapsed_s[name] = self.elapsed_s.get(name, 0.0) + time.perf_counter() - started
