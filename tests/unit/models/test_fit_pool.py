"""Parallel fits: the same bytes as sequential fits, no idle worker, and a prompt end on a signal."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from foundry_tasks.contract.config import ModelsConfig
from foundry_tasks.models.base.lightgbm import LightGBMClassifier
from foundry_tasks.models.base.logistic import LogisticRegression
from foundry_tasks.models.base.xgboost import XGBoostClassifier
from foundry_tasks.models.design import build_design
from foundry_tasks.models.fit_pool import FitPool
from foundry_tasks.models.training import FitWindow, WindowTrainer

ESTIMATORS = (
    LightGBMClassifier(rounds=15, min_leaf_rows=20, feature_fraction=1.0),
    XGBoostClassifier(rounds=15, min_leaf_rows=20),
    LogisticRegression(),
)
TIMEOUT_S = 120
threads = pytest.mark.parametrize("threads", [1, 2, 5])


@threads
def test_boosters_fitted_side_by_side_are_those_fitted_one_after_another_byte_for_byte(make_features, threads):
    """Every model in three blocks, two targets per block, four seeds per target: fits share bins and labels."""
    panel = make_features(150, 40)
    noise = np.random.default_rng(1).normal(size=(2, 150, 40))
    targets = (noise - 0.5 * panel["ret_1d"] > 0).astype(float)
    designs = {transform: build_design(panel, transform) for transform in ("raw", "rank")}

    def fit(mapper, job):
        estimator, stop = job
        window = FitWindow(0, stop, purge=1)
        config = ModelsConfig(seeds=4)
        trainer = WindowTrainer(estimator, designs[estimator.transform], [window], config, mapper=mapper)
        models = [trainer.fit(target, window) for target in targets]
        return [(model.to_bytes(), trainer.score(model, stop, 150).tobytes()) for model in models]

    jobs = [(estimator, stop) for stop in (140, 120, 100) for estimator in ESTIMATORS]
    with FitPool(threads) as pool:
        beside = list(pool.jobs(partial(fit, pool.share), jobs))
    assert beside == [fit(map, job) for job in jobs]


@threads
def test_results_are_in_the_order_of_the_items_in_a_job_and_outside(threads):
    with FitPool(threads) as pool:
        assert pool.share(abs, range(-9, 0)) == list(range(9, 0, -1))
        jobs = pool.jobs(lambda n: pool.share(lambda m: 10 * n + m, range(3)), range(20))
        assert list(jobs) == [[10 * n, 10 * n + 1, 10 * n + 2] for n in range(20)]
        assert pool.share(abs, []) == []


def test_who_is_alone_waits_for_the_others_and_results_keep_their_order():
    seen = []

    def job(item):
        seen.append((item, threading.current_thread() is threading.main_thread()))
        return item

    with FitPool(2) as pool:
        assert list(pool.jobs(job, [3, 0, 1, 4, 2], alone=lambda item: item >= 3)) == [3, 0, 1, 4, 2]
    assert {item for item, _ in seen[:3]} == {0, 1, 2}
    assert seen[3:] == [(3, True), (4, True)]


def test_who_has_no_job_left_takes_over_a_share_of_anothers():
    """Both calls wait for each other, so a single thread would block at the first."""
    meet = threading.Barrier(2, timeout=TIMEOUT_S)
    with FitPool(2) as pool:
        (names,) = pool.jobs(lambda _: pool.share(lambda _: (meet.wait(), threading.get_ident())[1], range(2)), [0])
    assert len(set(names)) == 2


def test_jobs_come_before_shares_so_that_a_job_that_nobody_helps_ends_all_the_same():
    meet = threading.Barrier(2, timeout=TIMEOUT_S)

    def job(_):
        meet.wait()
        return pool.share(abs, [-1, -2, -3])

    with FitPool(2) as pool:
        assert list(pool.jobs(job, range(2))) == [[1, 2, 3]] * 2


@threads
def test_a_failure_is_raised_and_nothing_more_is_started(threads):
    started = []

    def call(item):
        started.append(item)
        raise ValueError(f"item {item}")

    with FitPool(threads) as pool, pytest.raises(ValueError, match="item"):
        list(pool.jobs(lambda _: pool.share(call, range(100)), range(1)))
    assert len(started) <= threads


@threads
def test_a_signal_ends_what_runs_with_the_fit_that_it_is_in(threads, monkeypatch):
    """SIGTERM raises in the main thread, so that the run log has its line before SIGKILL follows.

    The fits that run go on until the pool shuts down.
    """
    begun, going, done = threading.Event(), threading.Event(), []
    shutdown = ThreadPoolExecutor.shutdown

    def fit(seed):
        done.append(seed)
        begun.set()
        going.wait(TIMEOUT_S)

    def send_signal():
        begun.wait(TIMEOUT_S)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    def end(*_):
        raise SystemExit(143)

    def shut_down(executor, **how):
        going.set()
        shutdown(executor, **how)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", shut_down)
    before = signal.signal(signal.SIGUSR1, end)
    threading.Thread(target=send_signal).start()
    try:
        with pytest.raises(SystemExit), FitPool(threads) as pool:
            list(pool.jobs(lambda _: pool.share(fit, range(100)), range(50)))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert 1 <= len(done) <= threads


def test_blas_gets_its_threads_back():
    def blas():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = blas()
    with FitPool(2):
        assert set(blas()) == {1}
    assert blas() == before
