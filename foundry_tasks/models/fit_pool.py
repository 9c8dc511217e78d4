"""Fits side by side, one thread each.

A second thread of its own speeds a boosted fit up by less than a second fit beside it, and a fit on one thread has the
same bits wherever it runs. LightGBM and XGBoost let go of the interpreter while they work, read binned rows without
changing them, and draw from a generator of their own or of their thread. LightGBM keeps its thread count for the whole
process and asks for it again in mid-fit: no fit or score beside another may ask for more than one.
"""

import ctypes
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships none

Item = TypeVar("Item")
Result = TypeVar("Result")
SIGNAL_S = 0.5  # the longest that a signal waits for the main thread


class FitPool:
    """Threads that run jobs; who has none left takes over a share of another's work."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._closed = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fit")

    def __enter__(self) -> Self:
        # Once for all threads: those of a job that limits BLAS itself would otherwise be given back under another's feet.
        self._limits = threadpool_limits(1, user_api="blas")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """After a failure, or a signal, what runs ends with the fit that it is in."""
        self._closed = True
        self._pool.shutdown(cancel_futures=True)
        self._limits.restore_original_limits()

    def jobs(
        self, call: Callable[[Item], Result], items: Iterable[Item], *, alone: Callable[[Item], bool] = lambda _: False
    ) -> Iterator[Result]:
        """Results in the order of the items, each once it is there; what is long belongs first.

        alone: whether an item has threads of its own, so that it waits until the others are done, and is done by the caller.
        """
        items = list(items)
        pooled = {place: self._pool.submit(_tidied, call, item) for place, item in enumerate(items) if not alone(item)}
        for place, item in enumerate(items):
            if place not in pooled:
                _await(pooled.values())
                yield call(item)
            else:
                _await([pooled[place]])
                yield pooled[place].result()

    def share(self, call: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """As `list(map(call, items))`, by the calling thread, which may be in a job, and by those that are idle."""
        left = deque(enumerate(items))
        results: dict[int, Result] = {}
        work = partial(self._work, call, left, results)
        n_items = len(left)
        helpers: list[Future[None]] = [self._pool.submit(work) for _ in range(min(self._threads, n_items) - 1)]
        try:
            work()
        finally:
            left.clear()
            started = [helper for helper in helpers if not helper.cancel()]
            _await(started)
        for helper in started:
            helper.result()
        if len(results) < n_items:
            raise CancelledError
        return [results[place] for place in range(n_items)]

    def _work(self, call: Callable[[Item], Result], left: deque[tuple[int, Item]], results: dict[int, Result]) -> None:
        while not self._closed:
            try:
                place, item = left.popleft()
            except IndexError:
                return
            results[place] = call(item)


def _await(futures: Collection[Future[Result]]) -> None:
    """Wait for all, and look up now and then: a signal that comes just before a wait begins does not end it."""
    while wait(futures, timeout=SIGNAL_S).not_done:
        pass


def _tidied(call: Callable[[Item], Result], item: Item) -> Result:
    """As `call`, and what its threads freed goes back to the system: boosters leave glibc's arenas full of holes."""
    try:
        return call(item)
    finally:
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's alone
            trim(0)
