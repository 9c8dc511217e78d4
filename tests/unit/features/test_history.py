"""The sessions that a history holds."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from foundry_tasks.features.history import REMEMBERED_MATRICES, History


def test_what_was_asked_for_lately_is_not_computed_again(market):
    history = History(market)
    assert history.ret(5) is history.ret(5)
    assert history.ret(5) is not history.ret(20)


def test_what_others_have_followed_is_forgotten_so_that_memory_does_not_grow(market):
    history = History(market)
    first = history.ret(1)
    for sessions in range(2, 2 + REMEMBERED_MATRICES):
        history.ret(sessions)
    assert history.ret(1) is not first


def test_threads_that_ask_for_one_matrix_compute_it_once(market):
    history, together, computed = History(market), threading.Barrier(4), []

    def compute():
        computed.append(threading.get_ident())
        return history.close

    def ask():
        together.wait()
        return history.remember(("slow",), compute)

    with ThreadPoolExecutor(4) as pool:
        found = [future.result() for future in [pool.submit(ask) for _ in range(4)]]
    assert len(computed) == 1
    assert all(matrix is found[0] for matrix in found)


def test_who_waits_for_a_matrix_that_fails_is_told_why(market):
    history = History(market)

    def fail():
        raise ValueError("no such column")

    for _ in range(2):
        with pytest.raises(ValueError, match="no such column"):
            history.remember(("broken",), fail)
