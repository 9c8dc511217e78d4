"""The store in a folder: whole or absent, one winner of a race, and a disk's troubles in one line each."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import object_key
from foundry_tasks.contract.errors import ConfigError, MissingInputError, TransientError

NOBODY = 65534
RACERS = 8
ROUNDS = 25


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def written(store):
    """Every file in the store, locks left out: what anyone could mistake for something published."""
    return sorted(
        path.relative_to(store.root).as_posix()
        for path in store.root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )


# ------------------------------------------------------------------ reading and writing
def test_what_is_written_is_read_and_what_is_not_there_is_none(store):
    store.write("runs/a/result.json", b"one")
    store.write("runs/a/result.json", b"two")
    assert store.read("runs/a/result.json") == b"two"
    assert store.read("runs/b/result.json") is None
    assert store.read("runs/a/result.json/below") is None
    assert written(store) == ["runs/a/result.json"]


def test_keys_are_sorted_and_start_with_the_prefix_whether_it_ends_in_a_slash_or_not(store):
    for key in ("runs/b/x", "runs/a/x", "runs/ab/y", "ledger/m/1"):
        store.write(key, b"")
    store.swap("runs/a/head", None, b"")
    assert list(store.keys("runs/")) == ["runs/a/head", "runs/a/x", "runs/ab/y", "runs/b/x"]
    assert list(store.keys("runs/a")) == ["runs/a/head", "runs/a/x", "runs/ab/y"]
    assert list(store.keys("nothing/")) == []


def test_a_log_grows_by_whole_lines_from_many_threads(store):
    lines = [f"{number:04d}".encode() * 50 for number in range(200)]
    with ThreadPoolExecutor(RACERS) as pool:
        list(pool.map(lambda line: store.append("run_log.jsonl", line), lines))
    assert sorted(store.read("run_log.jsonl").splitlines()) == lines


def test_a_store_is_where_a_person_finds_it(store, tmp_path):
    assert store.uri == str(tmp_path / "store")
    assert store.locate("a/b") == str(tmp_path / "store" / "a" / "b")


# ------------------------------------------------------------------ objects
def test_an_object_is_named_by_its_content_kept_once_and_read_only(store, tmp_path):
    (tmp_path / "file").write_bytes(b"content" * 300_000)
    name = store.put_object(tmp_path / "file")
    path = store.object_path(name)
    before = path.stat()
    assert name == hashlib.sha256(path.read_bytes()).hexdigest()
    assert store.put_object(tmp_path / "file") == name
    assert path.stat().st_ino == before.st_ino, "what is there is not written again"
    assert before.st_mode & 0o777 == 0o444
    assert written(store) == [object_key(name)]


def test_an_object_that_is_gone_is_named_with_what_to_do(store):
    with pytest.raises(MissingInputError, match=r"object 000000000000… is not in the store .* Run the stage"):
        store.object_path("0" * 64)
    assert not store.has_object("0" * 64)


# ------------------------------------------------------------------ races
RACE = textwrap.dedent("""
    import sys, time
    from foundry_tasks.adapters.store_local import LocalStore
    root, me, act, start, rounds = sys.argv[1:]
    store, wins = LocalStore(root), 0
    time.sleep(max(0.0, float(start) - time.time()))
    for number in range(int(rounds)):
        if act == "create":
            wins += store.create(f"ledger/{number}", me.encode())
        else:
            while not store.swap("head", found := store.read("head"), str(int(found or b"0") + 1).encode()):
                pass
            wins += 1
    print(wins)
""")


def race_of_processes(store, act):
    import time  # noqa: PLC0415 - the start that all racers agree on

    start = time.time() + 1.0
    racers = [
        subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", RACE, str(store.root), str(number), act, str(start), str(ROUNDS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    wins = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert all(racer.returncode == 0 for racer in racers)
    return wins


def test_of_many_threads_that_create_a_key_one_wins(store):
    with ThreadPoolExecutor(RACERS) as pool:
        for number in range(ROUNDS):
            key = f"ledger/{number}"
            won = list(pool.map(lambda racer, key=key: store.create(key, str(racer).encode()), range(RACERS)))
            assert won.count(True) == 1
            assert store.read(key) == str(won.index(True)).encode()
    assert len(written(store)) == ROUNDS, "losers leave nothing behind"


def test_of_many_processes_that_create_a_key_one_wins(store):
    assert sum(race_of_processes(store, "create")) == ROUNDS


def test_of_many_threads_that_swap_a_head_one_wins(store):
    store.write("head", b"0")
    with ThreadPoolExecutor(RACERS) as pool:
        for number in range(ROUNDS):
            before = store.read("head")
            after = [f"{number} by {racer}".encode() for racer in range(RACERS)]
            won = list(pool.map(lambda data, before=before: store.swap("head", before, data), after))
            assert won.count(True) == 1
            assert store.read("head") == after[won.index(True)]


def test_no_process_that_counts_by_swapping_loses_a_count(store):
    race_of_processes(store, "swap")
    assert store.read("head") == str(4 * ROUNDS).encode()


def test_a_swap_of_what_is_absent_expects_nothing(store):
    assert not store.swap("head", b"something", b"1")
    assert store.read("head") is None
    assert store.swap("head", None, b"1")
    assert not store.swap("head", None, b"2")


# ------------------------------------------------------------------ a killed writer
KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from foundry_tasks.adapters.store_local import LocalStore
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # all bytes written, none of them moved yet
    store, act = LocalStore(sys.argv[1]), sys.argv[2]
    acts = {
        "write": lambda: store.write("runs/r/result.json", b"x" * 100_000),
        "create": lambda: store.create("runs/r/result.json", b"x" * 100_000),
        "swap": lambda: store.swap("runs/r/result.json", None, b"x" * 100_000),
        "put_object": lambda: store.put_object(Path(sys.argv[3])),
    }
    acts[act]()
""")


@pytest.mark.parametrize("act", ["write", "create", "swap", "put_object"])
def test_a_killed_writer_leaves_nothing_that_can_be_read(store, tmp_path, act):
    source = tmp_path / "source"
    source.write_bytes(b"y" * 100_000)
    command = [sys.executable, "-c", KILLED, str(store.root), act, str(source)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL  # noqa: S603 - our own interpreter
    assert [name for name in written(store) if not name.endswith(".part")] == []
    assert list(store.keys("")) == []
    assert store.read("runs/r/result.json") is None
    assert not store.has_object(hashlib.sha256(source.read_bytes()).hexdigest())


def test_the_next_writer_succeeds_where_one_was_killed(store, tmp_path):
    command = [sys.executable, "-c", KILLED, str(store.root), "swap", ""]
    subprocess.run(command, check=False)  # noqa: S603 - as above
    assert store.swap("runs/r/result.json", None, b"whole"), "the lock died with its holder"
    assert store.read("runs/r/result.json") == b"whole"


# ------------------------------------------------------------------ a disk in trouble
@pytest.fixture
def full_store(tmp_path):
    """A store without a byte to spare: a tiny file system of its own, else a limit on the size of any file."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = os.geteuid() == 0 and not _run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = LocalStore(place / "store")
    store.write("head", b"0")
    try:
        if not mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 10, limit[1]))
        yield store
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        if mounted:
            _run("umount", str(place))


def _run(*command):
    return subprocess.run(command, check=False, capture_output=True).returncode  # noqa: S603 - mount and umount


def big_file(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(b"z" * (1 << 20))
    return path


@pytest.mark.parametrize("act", ["write", "create", "swap", "put_object", "append"])
def test_a_full_disk_is_transient_loses_nothing_and_leaves_nothing(tmp_path, act, request):
    source = big_file(tmp_path)
    store = request.getfixturevalue("full_store")
    big = source.read_bytes()
    acts = {
        "write": lambda: store.write("head", big),
        "create": lambda: store.create("other", big),
        "swap": lambda: store.swap("head", b"0", big),
        "put_object": lambda: store.put_object(source),
        "append": lambda: store.append("log", big) or store.append("log", big),
    }
    with pytest.raises(TransientError) as error:
        acts[act]()
    assert "the store is full" in str(error.value)
    assert str(store.root) in str(error.value)
    assert "\n" not in str(error.value)
    assert store.read("head") == b"0"
    assert [name for name in written(store) if name != "log"] == ["head"]


def test_a_device_without_room_is_a_full_store(store):
    (store.root / "log").symlink_to("/dev/full")
    with pytest.raises(TransientError, match=r"the store is full \(.*log\)\. Free space there"):
        store.append("log", b"line")


@contextmanager
def not_root():
    """The rights of somebody who is not root, for whom a mode means something."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def read_only_store():
    """A store that may be read and not written; outside pytest's own folder, which is closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        store = LocalStore(root / "store")
        store.write("head", b"0")
        store.append("log", b"line")
        for path in [*store.root.rglob("*"), store.root]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield store
        store.root.chmod(0o755)


@pytest.mark.parametrize("act", ["write", "create", "swap", "append", "put_object"])
def test_a_read_only_store_is_a_fault_of_the_configuration(read_only_store, act):
    store = read_only_store
    acts = {
        "write": lambda: store.write("head", b"1"),
        "create": lambda: store.create("other", b"1"),
        "swap": lambda: store.swap("head", b"0", b"1"),
        "append": lambda: store.append("log", b"line"),
        "put_object": lambda: store.put_object(store.root / "head"),
    }
    with not_root():
        assert store.read("head") == b"0"
        with pytest.raises(
            ConfigError, match=r"cannot be used: permission denied \(.*\)\. Make it writable or set"
        ) as error:
            acts[act]()
    assert "\n" not in str(error.value)
    assert written(store) == ["head", "log"]


@pytest.mark.parametrize("place", ["file", "file/below", "loop", "~nobody-of-this-name/store"])
def test_a_path_that_cannot_be_a_folder_is_a_fault_of_the_configuration(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigError, match="the store cannot be used: "):
        LocalStore(place if place.startswith("~") else tmp_path / place)
