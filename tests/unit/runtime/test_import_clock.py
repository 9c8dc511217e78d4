"""Seconds of imports, counted once, for the main thread only."""

import builtins
import importlib
import sys
import threading

import pytest

from foundry_tasks.runtime.import_clock import ImportClock

SLOW = "import time\ntime.sleep(0.05)\n"


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """A started clock, and three slow modules on the path, one of which imports another."""
    for name, source in {
        "slow_one": SLOW,
        "slow_outer": "import slow_one\n" + SLOW,
        "slow_broken": SLOW + "1 / 0\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(builtins, "__import__", builtins.__import__)
    importlib.invalidate_caches()
    clock = ImportClock()
    clock.start()
    yield clock
    for name in ("slow_one", "slow_outer", "slow_broken"):
        sys.modules.pop(name, None)


def test_an_import_is_counted(clock):
    import slow_one  # noqa: F401, PLC0415

    assert 0.05 <= clock.seconds < 0.5


def test_an_import_inside_an_import_is_counted_once(clock):
    import slow_outer  # noqa: F401, PLC0415

    assert 0.1 <= clock.seconds < 0.5


def test_what_is_loaded_already_costs_next_to_nothing(clock):

    first = clock.seconds

    assert clock.seconds - first < 0.01


def test_an_import_that_fails_is_counted_and_the_next_one_too(clock):
    with pytest.raises(ZeroDivisionError):
        import slow_broken  # noqa: F401, PLC0415
    assert clock.seconds >= 0.05
    import slow_one  # noqa: F401, PLC0415

    assert clock.seconds >= 0.1


def test_what_another_thread_loads_beside_the_work_is_not_counted(clock):
    def load():
        import slow_one  # noqa: F401, PLC0415

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert clock.seconds < 0.01


def test_a_clock_that_was_not_started_counts_nothing(clock):
    idle = ImportClock()
    import slow_one  # noqa: F401, PLC0415

    assert idle.seconds == 0
