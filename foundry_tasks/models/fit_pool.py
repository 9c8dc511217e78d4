"""A thread pool for fits that run in parallel, one thread per fit.

Two fits on one thread each take less time than two successive fits on two threads each, and a fit on one thread gives
the same bits on every machine. LightGBM and XGBoost release the interpreter lock while they work, do not change binned
rows, and draw from a random generator of the booster or of the thread. LightGBM keeps one thread count for the whole
process and reads it again during a fit: fits and scores that run in parallel must all use one thread.
"""

import ctypes
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # ships no types

Item = TypeVar("Item")
Result = TypeVar("Result")
SIGNAL_S = 0.5  # the longest delay before the main thread handles a signal


class FitPool:
    """A thread pool. An idle thread takes items of another job's queue.

    threads: the number of threads. Use it as a context manager.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._closed = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fit")

    def __enter__(self) -> Self:
        # BLAS is limited once for the whole pool: a job that set and restored the limit itself would change it for other jobs.
        self._limits = threadpool_limits(1, user_api="blas")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cancel jobs that have not started. A running job ends after its current item, also after a failure or a signal."""
        self._closed = True
        self._pool.shutdown(cancel_futures=True)
        self._limits.restore_original_limits()

    def jobs(
        self, call: Callable[[Item], Result], items: Iterable[Item], *, alone: Callable[[Item], bool] = lambda _: False
    ) -> Iterator[Result]:
        """Yield the results of `call` in the order of the items, each as soon as it is ready. Put the longest items first.

        alone: whether the call of an item uses threads of its own. Such an item waits until the others are done and is run
        by the calling thread.
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
        """`list(map(call, items))`, run by the calling thread, which may belong to a job, and by idle threads of the pool.

        Raises CancelledError if the pool was closed before all items were done.
        """
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
    """Wait for all futures, in intervals of SIGNAL_S: a signal that arrives just before a wait starts does not end that wait."""
    while wait(futures, timeout=SIGNAL_S).not_done:
        pass


def _tidied(call: Callable[[Item], Result], item: Item) -> Result:
    """Call, then return freed memory to the system: boosters fragment glibc's arenas."""
    try:
        return call(item)
    finally:
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # only glibc has it
            trim(0)
