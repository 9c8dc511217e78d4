"""The store in a folder: atomic writes, one winner per race, and disk errors in one line."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
from contextlib import contextmanager
from pathlib import Path

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import object_key
from foundry_tasks.contract.errors import ConfigError, TransientError

NOBODY = 65534
RACERS = 8


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def written(store):
    """All files in the store without locks: files that could be mistaken for published ones."""
    return sorted(
        path.relative_to(store.root).as_posix()
        for path in store.root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )


# ------------------------------------------------------------------ reading and writing
def test_what_is_written_is_all_that_lies_there(store):
    store.write("runs/a/result.json", b"one")
    store.write("runs/a/result.json", b"two")
    for racer in range(RACERS):
        store.create("ledger/1", str(racer).encode())
    assert written(store) == ["ledger/1", "runs/a/result.json"], "losers leave nothing behind"


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
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert [name for name in written(store) if not name.endswith(".part")] == []
    assert list(store.keys("")) == []
    assert store.read("runs/r/result.json") is None
    assert not store.has_object(hashlib.sha256(source.read_bytes()).hexdigest())


def test_the_next_writer_succeeds_where_one_was_killed(store, tmp_path):
    command = [sys.executable, "-c", KILLED, str(store.root), "swap", ""]
    subprocess.run(command, check=False)
    assert store.swap("runs/r/result.json", None, b"whole"), "the lock died with its holder"
    assert store.read("runs/r/result.json") == b"whole"


# ------------------------------------------------------------------ a disk in trouble
@pytest.fixture
def full_store(tmp_path):
    """A full store: a tiny file system, else a limit on file sizes."""
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
    return subprocess.run(command, check=False, capture_output=True).returncode


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
    """Drop root's rights, so that file modes have effect."""
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
    """A read-only store, outside pytest's folder, which other users cannot read."""
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
