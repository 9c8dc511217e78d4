"""The store: writing and reading a large artifact, compared with a copy and with boto3's transfer on the same server."""

import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from boto3.s3.transfer import TransferConfig

from benchmarks.row import Row, Turns, taking_turns, timed
from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.adapters.stores import open_store
from foundry_tasks.contract.artifacts import object_key
from tests.s3_server import S3Server

MEGABYTES = 500
PAIRS = 5
LEAST_RATIO = 1 / 1.2
"""Allowed cost: hashing, verifying and syncing may take a fifth of the copy."""


def rows(market_data: Path, peers: Path, *, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - random bytes; all rows are quick
    """Rows. Every turn writes new content."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        yield _row(_local(folder), "put into a folder", "cp and sync")
        server = S3Server(folder / "s3")
        try:
            put, fetched = _s3(folder, server)
        finally:
            server.kill()
        yield _row(put, "put into S3", "upload_file of boto3")
        yield _row(fetched, "read from S3, proved", "download_file of boto3")


def _row(turns: Turns, name: str, against: str) -> Row:
    return Row.of(turns, f"{MEGABYTES} MB {name}", against, least_ratio=LEAST_RATIO, quick=True)


def _renewed(path: Path) -> Path:
    """Change a few bytes of each part of the file, so that its digest is new."""
    with path.open("r+b") as stream:
        for start in range(0, MEGABYTES * 1_000_000, 1 << 20):
            stream.seek(start)
            stream.write(secrets.token_bytes(16))
    return path


def _local(folder: Path) -> Turns:
    source, numbers = _source(folder), itertools.count()

    def ours() -> float:
        _renewed(source)
        store = LocalStore(folder / f"store{next(numbers)}")
        os.sync()
        seconds = timed(lambda: store.put_object(source))()
        shutil.rmtree(store.root)
        return seconds

    def theirs() -> float:
        copy = folder / "copy"
        os.sync()
        seconds = timed(lambda: _copied(source, copy))()
        copy.unlink()
        return seconds

    return taking_turns(ours, theirs, pairs=PAIRS)


def _copied(source: Path, copy: Path) -> None:
    subprocess.run(["cp", source, copy], check=True)  # noqa: S603, S607 - a program of the system
    subprocess.run(["sync", copy], check=True)  # noqa: S603, S607 - as above


def _source(folder: Path) -> Path:
    path = folder / "artifact"
    path.write_bytes(secrets.token_bytes(MEGABYTES * 1_000_000))
    return path


def _s3(folder: Path, server: S3Server) -> tuple[Turns, Turns]:
    settings = server.settings()
    bucket, _, prefix = settings.store.removeprefix("s3://").partition("/")
    source, client, plain = _source(folder), server.client(), TransferConfig()
    names: list[str] = []

    def ours_put() -> float:
        _renewed(source)
        return timed(lambda: names.append(open_store(settings).put_object(source)))()

    def theirs_put() -> float:
        return timed(lambda: client.upload_file(str(source), bucket, "plain", Config=plain))()

    def ours_read() -> float:
        store = open_store(settings)
        return timed(lambda: store.object_path(names[-1]))()

    def theirs_read() -> float:
        copy = folder / "copy"
        found = timed(lambda: client.download_file(bucket, "plain", str(copy), Config=plain))()
        copy.unlink()
        return found

    put = taking_turns(ours_put, theirs_put, pairs=PAIRS)
    for name in names[:-1]:
        client.delete_object(Bucket=bucket, Key=f"{prefix}/{object_key(name)}")
    return put, taking_turns(ours_read, theirs_read, pairs=PAIRS)
