"""Seconds of imports, counted once, for the main thread only."""

import builtins
import importlib
import sys
import threading
from types import SimpleNamespace

import pytest

from foundry_tasks.runtime import import_clock
from foundry_tasks.runtime.import_clock import ImportClock

SLOW = "import hand\nhand.seconds += 1\n"


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """A started clock, and three slow modules on the path, one of which imports another. Each takes one second."""
    hand = SimpleNamespace(seconds=0.0)
    monkeypatch.setitem(sys.modules, "hand", hand)
    monkeypatch.setattr(import_clock, "time", SimpleNamespace(perf_counter=lambda: hand.seconds))
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

    assert clock.seconds == 1


def test_an_import_inside_an_import_is_counted_once(clock):
    import slow_outer  # noqa: F401, PLC0415

    assert clock.seconds == 2


def test_what_is_loaded_already_costs_nothing(clock):
    import slow_one  # noqa: PLC0415

    first = clock.seconds
    import slow_one  # noqa: F401, F811, PLC0415

    assert clock.seconds == first == 1


def test_an_import_that_fails_is_counted_and_the_next_one_too(clock):
    with pytest.raises(ZeroDivisionError):
        import slow_broken  # noqa: F401, PLC0415
    assert clock.seconds == 1
    import slow_one  # noqa: F401, PLC0415

    assert clock.seconds == 2


def test_what_another_thread_loads_beside_the_work_is_not_counted(clock):
    def load():
        import slow_one  # noqa: F401, PLC0415

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert clock.seconds == 0


def test_a_clock_that_was_not_started_counts_nothing(clock):
    idle = ImportClock()
    import slow_one  # noqa: F401, PLC0415

    assert idle.seconds == 0
