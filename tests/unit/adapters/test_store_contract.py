"""The contract of every store, in a folder and on an S3 server: atomic writes, and one winner per race."""

import hashlib
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.contract.artifacts import object_key
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import MissingInputError
from foundry_tasks.ledger.chain import check_store

RACERS = 8
ROUNDS = 25


@pytest.fixture(params=["folder", "s3"])
def settings(request, tmp_path):
    """Settings of an empty store."""
    if request.param == "folder":
        return Settings(store=str(tmp_path / "store"))
    return request.getfixturevalue("s3_server").settings()


@pytest.fixture
def store(settings):
    return open_store(settings)


# ------------------------------------------------------------------ reading and writing
def test_what_is_written_is_read_and_what_is_not_there_is_none(store):
    store.write("runs/a/result.json", b"one")
    store.write("runs/a/result.json", b"two")
    assert store.read("runs/a/result.json") == b"two"
    assert store.read("runs/b/result.json") is None
    assert store.read("runs/a/result.json/below") is None
    assert list(store.keys("")) == ["runs/a/result.json"]


@pytest.mark.parametrize("data", [b"", b"\x00\xff\n", b"x" * 12_000_000], ids=["none", "not text", "megabytes"])
def test_bytes_come_back_as_they_were(store, data):
    store.write("some/key", data)
    assert store.read("some/key") == data


def test_keys_are_sorted_and_start_with_the_prefix_whether_it_ends_in_a_slash_or_not(store):
    for key in ("runs/b/x", "runs/a/x", "runs/ab/y", "runs/a-b", "ledger/m/1"):
        store.write(key, b"")
    store.swap("runs/a/head", None, b"")
    assert list(store.keys("runs/")) == ["runs/a-b", "runs/a/head", "runs/a/x", "runs/ab/y", "runs/b/x"]
    assert list(store.keys("runs/a")) == ["runs/a-b", "runs/a/head", "runs/a/x", "runs/ab/y"]
    assert list(store.keys("nothing/")) == []


def test_a_listed_key_has_its_size_and_its_age(store):
    before = datetime.now(UTC) - timedelta(seconds=2)
    store.write("runs/a/x", b"123")
    (found,) = store.listed("runs/")
    assert (found.key, found.size_bytes) == ("runs/a/x", 3)
    assert before < found.modified < datetime.now(UTC) + timedelta(seconds=2)


def test_what_is_deleted_is_gone_and_may_be_deleted_again(store):
    store.write("runs/a/x", b"1")
    store.write("runs/a/y", b"2")
    store.delete("runs/a/x")
    store.delete("runs/a/x")
    store.delete("runs/never/there")
    assert store.read("runs/a/x") is None
    assert list(store.keys("")) == ["runs/a/y"]
    assert store.create("runs/a/x", b"3")


def test_a_log_grows_by_whole_lines_from_many_threads(store):
    lines = [f"{number:04d}".encode() * 50 for number in range(100)]
    with ThreadPoolExecutor(RACERS) as pool:
        list(pool.map(lambda line: store.append("run_log.jsonl", line), lines))
    assert sorted(store.read("run_log.jsonl").splitlines()) == lines


def test_a_key_is_located_below_the_store(store, settings):
    assert store.uri == settings.store
    assert store.locate("a/b") == f"{settings.store}/a/b"


# ------------------------------------------------------------------ objects
def test_an_object_is_named_by_its_content_and_read_only(store, tmp_path):
    (tmp_path / "file").write_bytes(b"content" * 300_000)
    name = store.put_object(tmp_path / "file")
    path = store.object_path(name)
    assert name == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_mode & 0o777 == 0o444
    assert store.has_object(name)
    assert store.put_object(tmp_path / "file") == name
    assert list(store.keys("")) == [object_key(name)]


def test_an_empty_object_is_one(store, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert store.object_path(store.put_object(tmp_path / "file")).read_bytes() == b""


def test_many_who_keep_the_same_object_keep_it_once(store, tmp_path):
    (tmp_path / "file").write_bytes(b"same" * 100_000)
    with ThreadPoolExecutor(RACERS) as pool:
        names = set(pool.map(lambda _: store.put_object(tmp_path / "file"), range(RACERS)))
    assert list(store.keys("")) == [object_key(name) for name in names]
    assert store.object_path(*names).read_bytes() == b"same" * 100_000


def test_an_object_that_is_gone_is_named_with_what_to_do(store):
    with pytest.raises(MissingInputError, match=r"object 000000000000… is not in the store .* Run the stage"):
        store.object_path("0" * 64)
    assert not store.has_object("0" * 64)


# ------------------------------------------------------------------ races
RACE = textwrap.dedent("""
    import sys, time
    from foundry_tasks.adapters.stores import open_store
    from foundry_tasks.contract.environment_variables import Settings
    me, act, start, rounds = sys.argv[1:]
    store, wins = open_store(Settings.from_environment()), 0
    store.read("warm-up")
    time.sleep(max(0.0, float(start) - time.time()))
    for number in range(int(rounds)):
        if act == "create":
            wins += store.create(f"ledger/{number}", me.encode())
        elif act == "append":
            store.append("log", f"{me} {number}".encode())
        else:
            while not store.swap("head", found := store.read("head"), str(int(found or b"0") + 1).encode()):
                pass
            wins += 1
    print(wins)
""")


def race_of_processes(settings, act):
    """Number of wins of each of four processes that start at the same moment."""
    variables = {f"FOUNDRY_{name.upper()}": str(value) for name, value in settings.model_dump().items()}
    start = time.time() + 2.0
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(number), act, str(start), str(ROUNDS)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | variables,
        )
        for number in range(4)
    ]
    wins = [int(racer.communicate(timeout=120)[0]) for racer in racers]
    assert all(racer.returncode == 0 for racer in racers)
    return wins


def test_of_many_threads_that_create_a_key_one_wins(store):
    with ThreadPoolExecutor(RACERS) as pool:
        for number in range(ROUNDS):
            key = f"ledger/{number}"
            won = list(pool.map(lambda racer, key=key: store.create(key, str(racer).encode()), range(RACERS)))
            assert won.count(True) == 1
            assert store.read(key) == str(won.index(True)).encode()


def test_what_is_there_is_not_created_again_even_with_the_same_bytes(store):
    assert store.create("ledger/1", b"record")
    assert not store.create("ledger/1", b"record")


@pytest.mark.slow(20)
def test_of_many_processes_that_create_a_key_one_wins(settings):
    assert sum(race_of_processes(settings, "create")) == ROUNDS


def test_of_many_threads_that_swap_a_head_one_wins(store):
    store.write("head", b"0")
    with ThreadPoolExecutor(RACERS) as pool:
        for number in range(ROUNDS):
            before = store.read("head")
            after = [f"{number} by {racer}".encode() for racer in range(RACERS)]
            won = list(pool.map(lambda data, before=before: store.swap("head", before, data), after))
            assert won.count(True) == 1
            assert store.read("head") == after[won.index(True)]


@pytest.mark.slow(20)
def test_no_process_that_counts_by_swapping_loses_a_count(settings, store):
    race_of_processes(settings, "swap")
    assert store.read("head") == str(4 * ROUNDS).encode()


@pytest.mark.slow(20)
def test_no_line_that_a_process_appends_is_lost(settings, store):
    race_of_processes(settings, "append")
    lines = {f"{racer} {number}".encode() for racer in range(4) for number in range(ROUNDS)}
    found = store.read("log").splitlines()
    assert len(found) == len(lines)
    assert set(found) == lines


def test_a_swap_of_what_is_absent_expects_nothing(store):
    assert not store.swap("head", b"something", b"1")
    assert store.read("head") is None
    assert store.swap("head", None, b"1")
    assert not store.swap("head", None, b"2")
    assert store.read("head") == b"1"


def test_it_may_keep_a_ledger(store):
    check_store(store)
    assert store.read("checks/create-once") == store.uri.encode()
