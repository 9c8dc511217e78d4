"""The store on an S3 server: lost answers, damaged objects, and server errors in one line."""

import hashlib
import os
import re
import socket
import subprocess
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from foundry_tasks.adapters.s3_files import PART
from foundry_tasks.adapters.stores import fetch, open_store
from foundry_tasks.contract.artifacts import object_key
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import ConfigError, MissingInputError, TransientError
from foundry_tasks.ledger.chain import Ledger
from foundry_tasks.ledger.records import Entry
from tests.s3_server import CutLine, S3Server, free_port, need_versitygw

pytestmark = pytest.mark.slow(20)


@pytest.fixture
def store(s3_server):
    return open_store(s3_server.settings())


@pytest.fixture
def line(s3_server):
    """A connection to the server that can lose answers."""
    made = CutLine(s3_server.port)
    yield made
    assert made.lost_all, "the test lost fewer answers than it meant to"
    made.close()


@pytest.fixture
def store_over_line(s3_server, line):
    return open_store(s3_server.settings(endpoint=line.endpoint))


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


# ------------------------------------------------------------------ a lost answer
def test_who_created_a_key_and_did_not_hear_it_has_won(store_over_line, line):
    line.lose("PUT")
    assert store_over_line.create("ledger/1", b"record")
    assert store_over_line.read("ledger/1") == b"record"


def test_who_did_not_create_a_key_and_did_not_hear_it_has_lost(store_over_line, line):
    store_over_line.create("ledger/1", b"record")
    line.lose("PUT")
    assert not store_over_line.create("ledger/1", b"record")


def test_who_swapped_a_head_and_did_not_hear_it_has_won(store_over_line, line):
    store_over_line.write("head", b"1")
    line.lose("PUT")
    assert store_over_line.swap("head", b"1", b"2")
    assert store_over_line.read("head") == b"2"


def test_a_line_whose_answer_was_lost_is_in_the_log_once(store_over_line, line):
    store_over_line.append("log", b"one")
    line.lose("PUT", times=2)
    store_over_line.append("log", b"two")
    store_over_line.append("log", b"three")
    assert store_over_line.read("log") == b"one\ntwo\nthree\n"


def test_a_ledger_whose_answers_get_lost_holds_each_record_once(store_over_line, line):
    ledger = Ledger(store_over_line)
    when = datetime(2026, 7, 1, tzinfo=UTC)
    for number in range(1, 6):
        line.lose("PUT")
        entry = Entry(
            event="registered", version=number, sha256=f"{number:064}", who="a test", when=when, why="lost answers"
        )
        record = ledger.append("m", lambda _, entry=entry: entry)
        assert record.sequence == number
    state, findings = ledger.prove("m")
    assert findings == ()
    assert len(state.records) == 5


def test_an_answer_that_ends_too_early_is_asked_for_again(store_over_line, line, tmp_path):
    body = os.urandom(500_000)
    (tmp_path / "file").write_bytes(body)
    name = store_over_line.put_object(tmp_path / "file")
    line.lose("GET", after_bytes=1_000)
    assert store_over_line.object_path(name).read_bytes() == body
    store_over_line.write("key", body)
    line.lose("GET", after_bytes=1_000)
    assert store_over_line.read("key") == body


# ------------------------------------------------------------------ objects
def test_half_an_upload_cannot_be_read(s3_server, store):
    """The client is cut off in the middle of a signed put, as if it were killed."""
    bucket, _, prefix = store.uri.removeprefix("s3://").partition("/")
    url = s3_server.client().generate_presigned_url(
        "put_object", {"Bucket": bucket, "Key": f"{prefix}/runs/r/result.json"}
    )
    path = url.removeprefix(s3_server.endpoint)
    with socket.create_connection(("127.0.0.1", s3_server.port)) as killed:
        host = f"127.0.0.1:{s3_server.port}"
        killed.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n".encode() + b"x" * 500_000
        )
    time.sleep(0.3)
    assert store.read("runs/r/result.json") is None
    assert list(store.keys("")) == []


def test_an_object_that_does_not_arrive_as_it_was_sent_is_refused(s3_server, store, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"right")
    put = store._client.put_object
    monkeypatch.setattr(store._client, "put_object", lambda **given: put(**given | {"Body": b"wrong"}))
    with pytest.raises(ConfigError, match=r"writing .* failed"):
        store.put_object(tmp_path / "file")
    assert list(store.keys("")) == []


def lies_at(server: S3Server, store, key):
    (path,) = (server.data / "buckets").rglob(store.locate(key).removeprefix("s3://"))
    return path


@pytest.mark.parametrize("server", ["with a checksum", "without one"])
def test_a_damaged_object_is_named_and_never_read(s3_server, store, tmp_path, server):
    (tmp_path / "file").write_bytes(b"right")
    name = store.put_object(tmp_path / "file")
    path = lies_at(s3_server, store, object_key(name))
    path.write_bytes(b"wrong")
    if server == "without one":
        os.removexattr(path, "user.checksums")
    with pytest.raises(MissingInputError, match=r"is damaged.* Delete it") as caught:
        store.object_path(name)
    assert store.locate(object_key(name)) in one_line(caught)


def test_a_damaged_head_is_not_taken_for_a_head(s3_server, store):
    store.write("head", b"right")
    lies_at(s3_server, store, "head").write_bytes(b"wrong")
    with pytest.raises(MissingInputError, match="what the store holds is damaged, reading") as caught:
        store.read("head")
    assert store.locate("head") in one_line(caught)


def test_an_object_that_was_cut_short_is_put_again(s3_server, store, tmp_path):
    (tmp_path / "file").write_bytes(b"right")
    name = store.put_object(tmp_path / "file")
    lies_at(s3_server, store, object_key(name)).write_bytes(b"ri")
    assert store.put_object(tmp_path / "file") == name
    assert store.object_path(name).read_bytes() == b"right"


def test_what_is_there_is_not_sent_again(store, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"content")
    name = store.put_object(tmp_path / "file")
    monkeypatch.setattr(store, "_upload", None)
    assert store.put_object(tmp_path / "file") == name


def test_an_object_is_downloaded_once_and_the_downloads_go_with_the_store(s3_server, tmp_path, monkeypatch):
    store = open_store(s3_server.settings())
    (tmp_path / "file").write_bytes(b"content")
    path = store.object_path(name := store.put_object(tmp_path / "file"))
    monkeypatch.setattr("foundry_tasks.adapters.store_s3.fetch_file", None)
    assert store.object_path(name) == path
    del store
    assert not path.parent.exists()


# ------------------------------------------------------------------ large objects
@pytest.fixture
def large(tmp_path):
    """A file slightly larger than two parts."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(2 * PART + 1000))
    return path


def unfinished(server, store):
    bucket = store.uri.removeprefix("s3://").split("/")[0]
    return server.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def test_a_large_object_goes_and_comes_in_parts_and_is_the_same(s3_server, store, large):
    name = store.put_object(large)
    bucket, _, prefix = store.uri.removeprefix("s3://").partition("/")
    kept = s3_server.client().head_object(Bucket=bucket, Key=f"{prefix}/{object_key(name)}")
    assert kept["ETag"].endswith('-3"')
    assert store.object_path(name).read_bytes() == large.read_bytes()
    assert not unfinished(s3_server, store)


@pytest.mark.parametrize("method", ["PUT", "POST", "HEAD"])
def test_a_large_object_arrives_although_answers_get_lost(s3_server, store_over_line, line, large, method):
    line.lose(method, times=2)
    name = store_over_line.put_object(large)
    assert store_over_line.object_path(name).read_bytes() == large.read_bytes()


def test_a_part_that_ends_too_early_is_asked_for_again(store_over_line, line, large):
    name = store_over_line.put_object(large)
    line.lose("GET", after_bytes=300_000, times=3)
    assert store_over_line.object_path(name).read_bytes() == large.read_bytes()


def test_a_part_that_does_not_arrive_as_it_was_sent_is_refused_and_nothing_is_left(
    s3_server, store, large, monkeypatch
):
    send = store._client.upload_part
    damaged = {"ChecksumCRC32": "AAAAAA=="}
    monkeypatch.setattr(store._client, "upload_part", lambda **given: send(**given | damaged))
    with pytest.raises(ConfigError, match=r"writing .* failed"):
        store.put_object(large)
    assert list(store.keys("")) == []
    assert not unfinished(s3_server, store)


def test_a_large_object_that_somebody_else_has_just_put_stays_theirs(s3_server, store, large, monkeypatch):
    name = store.put_object(large)
    before = lies_at(s3_server, store, object_key(name)).stat().st_ino
    sizes = iter([None, large.stat().st_size])
    monkeypatch.setattr(store, "_size", lambda _: next(sizes))
    assert store.put_object(large) == name
    assert lies_at(s3_server, store, object_key(name)).stat().st_ino == before
    assert not unfinished(s3_server, store)


def test_a_large_object_that_is_damaged_is_named_and_never_read(s3_server, store, large):
    name = store.put_object(large)
    with lies_at(s3_server, store, object_key(name)).open("r+b") as stream:
        stream.seek(PART + 5)
        stream.write(b"wrong")
    with pytest.raises(MissingInputError, match="is damaged"):
        store.object_path(name)


# ------------------------------------------------------------------ a user's files
def test_a_uri_is_a_file_or_a_folder_of_the_files_right_under_it(s3_server, tmp_path):
    settings = s3_server.settings()
    store = open_store(settings)
    for key in ("prices/a.csv", "prices/b.parquet", "prices/deeper/c.csv", "prices.csv"):
        store.write(key, key.encode())
    assert fetch(settings, store.locate("prices.csv"), tmp_path / "one") == tmp_path / "one" / "prices.csv"
    for uri in (store.locate("prices"), store.locate("prices/")):
        folder = fetch(settings, uri, tmp_path / str(len(uri)))
        assert folder.name == "prices"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            "a.csv": b"prices/a.csv",
            "b.parquet": b"prices/b.parquet",
        }
    with pytest.raises(ConfigError, match=f"there is nothing at {store.uri}/elsewhere"):
        fetch(settings, store.locate("elsewhere"), tmp_path / "two")


# ------------------------------------------------------------------ a server in trouble
@pytest.fixture
def impatient(monkeypatch):
    """Short patience, so that tests of lasting failures end soon."""
    monkeypatch.setattr("foundry_tasks.adapters.s3_server.PATIENCE_S", 0.2)
    monkeypatch.setattr("foundry_tasks.adapters.store_s3.PATIENCE_S", 0.2)


@pytest.fixture
def patient(monkeypatch):
    """What comes back soon is waited for, however slow the machine."""
    monkeypatch.setattr("foundry_tasks.adapters.s3_server.PATIENCE_S", 60)
    monkeypatch.setattr("foundry_tasks.adapters.store_s3.PATIENCE_S", 60)


def each_act(store, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    return {
        "read": lambda: store.read("key"),
        "write": lambda: store.write("key", b""),
        "create": lambda: store.create("key", b""),
        "swap": lambda: store.swap("key", None, b""),
        "append": lambda: store.append("key", b""),
        "put_object": lambda: store.put_object(tmp_path / "file"),
        "has_object": lambda: store.has_object("0" * 64),
        "object_path": lambda: store.object_path("0" * 64),
        "keys": lambda: list(store.keys("")),
    }


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_not_there_is_transient_whatever_is_asked(s3_server, tmp_path, host):
    store = open_store(s3_server.settings("s3://bucket", endpoint=f"http://{host}:{free_port()}"))
    for act in each_act(store, tmp_path).values():
        with pytest.raises(TransientError, match="the S3 server does not answer, ") as caught:
            act()
        assert "s3://bucket" in one_line(caught)


@pytest.mark.usefixtures("patient")
def test_a_server_that_comes_back_soon_is_waited_for(own_s3_server, tmp_path):
    store = open_store(own_s3_server.settings())
    store.write("head", b"1")
    own_s3_server.kill()
    again = threading.Timer(2.0, own_s3_server.start)
    again.start()
    for act in each_act(store, tmp_path).values():
        with suppress(MissingInputError):  # an object that was never stored
            act()
    again.join()
    assert store.read("head") == b"1"


@pytest.mark.usefixtures("impatient")
def test_what_a_killed_server_said_it_has_it_has(own_s3_server):
    settings = own_s3_server.settings()
    said = [set() for _ in range(4)]

    def write(mine, number):
        store = open_store(settings)
        with suppress(TransientError):
            for count in range(10_000):
                store.create(f"ledger/{number}/{count:08d}", f"{number} {count}".encode() * 5_000)
                mine.add(f"ledger/{number}/{count:08d}")

    writers = [threading.Thread(target=write, args=(mine, number)) for number, mine in enumerate(said)]
    for writer in writers:
        writer.start()
    until = time.monotonic() + 60
    while min(map(len, said)) < 20:  # wait until all have begun, also on a slow machine
        assert time.monotonic() < until
        assert all(writer.is_alive() for writer in writers)
        time.sleep(0.01)
    own_s3_server.kill()
    for writer in writers:
        writer.join()
    own_s3_server.start()
    store = open_store(settings)
    found = list(store.keys("ledger/"))
    assert set().union(*said) <= set(found)
    for key in found:
        _, number, count = key.split("/")
        assert store.read(key) == f"{number} {int(count)}".encode() * 5_000


def test_a_frozen_server_costs_as_long_as_it_may_be_silent_and_no_longer(own_s3_server, monkeypatch):
    """The silence is longer than the patience, so the server is asked once."""
    monkeypatch.setattr("foundry_tasks.adapters.s3_server._ANSWER_S", 9)
    store = open_store(own_s3_server.settings())
    get, asked = store._client.get_object, []
    monkeypatch.setattr(store._client, "get_object", lambda **given: asked.append(given) or get(**given))
    began = time.monotonic()
    with own_s3_server.frozen(), pytest.raises(TransientError, match=r"does not answer, reading .*timeout"):
        store.read("key")
    assert time.monotonic() - began > 8
    assert len(asked) == 1


@pytest.fixture
def full_server(tmp_path):
    """A server on a tiny file system."""
    need_versitygw()
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a tiny file system")
    server = S3Server(tmp_path / "s3", data=place)
    yield server
    server.kill()
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.usefixtures("impatient")
def test_a_full_disk_is_transient_loses_nothing_and_leaves_nothing(full_server, tmp_path):
    store = open_store(full_server.settings())
    store.write("head", b"0")
    big = os.urandom(1 << 20)
    (tmp_path / "big").write_bytes(big)
    acts = {
        "write": lambda: store.write("head", big),
        "create": lambda: store.create("other", big),
        "swap": lambda: store.swap("head", b"0", big),
        "append": lambda: store.append("log", big),
        "put_object": lambda: store.put_object(tmp_path / "big"),
    }
    for act in acts.values():
        with pytest.raises(TransientError, match=r"the store is full, writing s3://.* Free space there") as caught:
            act()
        assert one_line(caught)
    assert store.read("head") == b"0"
    assert list(store.keys("")) == ["head"]


# ------------------------------------------------------------------ a configuration in trouble
def test_a_bucket_that_does_not_exist_is_named(s3_server, tmp_path):
    store = open_store(s3_server.settings("s3://no-such-bucket"))
    for name, act in each_act(store, tmp_path).items():
        if name != "has_object":  # HEAD does not tell what is missing
            with pytest.raises(ConfigError, match=r"there is no such bucket, .*s3://no-such-bucket") as caught:
                act()
            assert "set FOUNDRY_STORE" in one_line(caught)


def test_keys_that_the_server_does_not_know_are_a_fault_of_the_configuration(s3_server, tmp_path):
    settings = s3_server.settings()
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "s3_access_key").write_text("somebody")
    (folder / "s3_secret_key").write_text("a secret that no line may show")
    store = open_store(settings.model_copy(update={"secrets": str(folder)}))
    for act in each_act(store, tmp_path).values():
        with pytest.raises(ConfigError, match=r"InvalidAccessKeyId|does not allow it") as caught:
            act()
        assert "no line may show" not in one_line(caught)


def test_no_keys_at_all_are_asked_for(s3_server, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    store = open_store(Settings(store="s3://bucket", s3_endpoint=s3_server.endpoint))
    with pytest.raises(ConfigError, match=r"no S3 keys, reading s3://bucket/key\. Lay s3_access_key"):
        store.read("key")


@pytest.mark.parametrize(
    ("store", "endpoint", "says"),
    [
        ("s3://", "", "s3:// names no bucket"),
        ("s3:///prefix", "", "names no bucket"),
        ("s3://bucket", "nonsense", "FOUNDRY_S3_ENDPOINT=nonsense: invalid endpoint"),
    ],
)
def test_a_store_that_cannot_be_one_is_refused_before_anything_is_asked(s3_server, store, endpoint, says):
    with pytest.raises(ConfigError, match=re.compile(re.escape(says), re.IGNORECASE)):
        open_store(s3_server.settings(store, endpoint=endpoint))


def test_an_endpoint_that_is_no_s3_server_is_said(tmp_path):
    from http.server import BaseHTTPRequestHandler, HTTPServer  # noqa: PLC0415 - used by this test only

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404)
            self.end_headers()
            self.wfile.write(b"<html>no such page</html>")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "s3_access_key").write_text("a")
    (tmp_path / "s3_secret_key").write_text("b")
    endpoint = f"http://127.0.0.1:{server.server_port}"
    store = open_store(Settings(store="s3://bucket", s3_endpoint=endpoint, secrets=str(tmp_path)))
    with pytest.raises(ConfigError, match="Check FOUNDRY_STORE and FOUNDRY_S3_ENDPOINT") as caught:
        store.read("key")
    assert one_line(caught)
    server.shutdown()
    server.server_close()


def test_sha256_of_an_object_is_what_the_folder_store_says(s3_server, store, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    assert store.put_object(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()
