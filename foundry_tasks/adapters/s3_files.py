"""List, download and upload objects of a bucket. Transfers are atomic; large files go in parallel parts."""

import hashlib
import os
import tempfile
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from foundry_tasks.adapters.s3_server import S3Client, ask, code_of, status_of
from foundry_tasks.contract.errors import ConfigError, FoundryError, TransientError
from foundry_tasks.contract.ports import StoredKey

_CHUNK = 1 << 20
PART = 8 << 20
"""Bytes per part. S3 allows 10,000 parts, each but the last of at least 5 MiB."""
_CHECKSUM = "CRC32"
"""Checksum of a part in transit. SHA-256 would be a third pass; a download is checked against the object's SHA-256."""
_SIDE_BY_SIDE = 8
"""Parallel parts; each is held in memory."""


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; the key may be empty. Raises ConfigError without a bucket."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise ConfigError(f"{uri} names no bucket. Write it as s3://bucket/prefix.")
    return bucket, key.rstrip("/")


def listed_under(client: S3Client, bucket: str, prefix: str) -> list[StoredKey]:
    """Every object whose key starts with `prefix`, sorted by key."""

    def listed() -> list[StoredKey]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = (item for page in pages for item in page.get("Contents", ()))
        known = (StoredKey(item["Key"], item["Size"], item["LastModified"].astimezone(UTC)) for item in found)
        return sorted(known, key=lambda one: one.key)

    return ask(listed, f"listing s3://{bucket}/{prefix}")


def fetch_file(client: S3Client, bucket: str, key: str, path: Path) -> str | None:
    """Download an object to `path` atomically. Returns its sha256, or None if there is no such object."""

    def fetched() -> str | None:
        try:
            answer = client.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if code_of(error) == "NoSuchKey":
                return None
            raise
        with closing(answer["Body"]), tempfile.TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder) / "part"
            sha256 = _saved(client, {"Bucket": bucket, "Key": key}, answer, part)
            part.replace(path)
        return sha256

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return ask(fetched, f"reading s3://{bucket}/{key}")
    except OSError as error:
        raise TransientError(
            f"s3://{bucket}/{key} cannot be kept at {path.parent}: {str(error.strerror).lower()}. Free space there or set "
            "TMPDIR; the run can then be repeated."
        ) from error


def _saved(client: S3Client, at: Mapping[str, str], answer: Any, path: Path) -> str:
    """Write an object to a file. Returns its sha256. `answer` carries the first part; the others are requested in parallel."""
    size, body, digest = answer["ContentLength"], answer["Body"], hashlib.sha256()

    def fetched(start: int) -> bytes:
        wanted = {"Range": f"bytes={start}-{min(start + PART, size) - 1}", "IfMatch": answer["ETag"]}

        def get() -> bytes:
            with closing(client.get_object(**at, **wanted)["Body"]) as part:
                content: bytes = part.read()
                return content

        content = ask(get, f"reading s3://{at['Bucket']}/{at['Key']}")
        os.pwrite(stream.fileno(), content, start)
        return content

    with path.open("wb") as stream, ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        starts = iter(range(PART, size, PART))
        under_way = deque(pool.submit(fetched, start) for start in islice(starts, _SIDE_BY_SIDE))
        for chunk in islice(body.iter_chunks(_CHUNK), PART // _CHUNK):
            digest.update(chunk)
            stream.write(chunk)
        body.close()
        while under_way:
            digest.update(under_way.popleft().result())
            under_way.extend(pool.submit(fetched, start) for start in islice(starts, 1))
    return digest.hexdigest()


def send_file(
    client: S3Client, bucket: str, key: str, path: Path, sha256: bytes, conditions: Mapping[str, str]
) -> None:
    """Upload a file. The server verifies a checksum of every byte before the object exists.

    sha256: the file's digest, used as checksum if the file is sent in one request. conditions: such as `IfNoneMatch`; a
    condition that does not hold is no error.
    """
    at, what = {"Bucket": bucket, "Key": key}, f"writing s3://{bucket}/{key}"
    if path.stat().st_size <= PART:
        checksum = b64encode(sha256).decode()
        ask(
            lambda: _unless_there(
                client.put_object, **at, Body=path.read_bytes(), ChecksumSHA256=checksum, **conditions
            ),
            what,
        )
        return
    upload = ask(lambda: client.create_multipart_upload(**at, ChecksumAlgorithm=_CHECKSUM), what)
    at["UploadId"], completed = upload["UploadId"], False
    try:
        parts = {"Parts": _send_parts(client, at, path, what)}
        completed = ask(
            lambda: _unless_there(client.complete_multipart_upload, **at, MultipartUpload=parts, **conditions), what
        )
    finally:
        if not completed:
            with suppress(FoundryError):  # the first error is the one to raise
                ask(lambda: client.abort_multipart_upload(**at), what)


def _send_parts(client: S3Client, at: Mapping[str, str], path: Path, what: str) -> list[dict[str, Any]]:
    """Upload all parts. Returns them in the form of `complete_multipart_upload`."""

    def send(start: int) -> dict[str, Any]:
        with path.open("rb") as stream:
            stream.seek(start)
            content = stream.read(PART)
        part = {"PartNumber": start // PART + 1}
        sent = ask(lambda: client.upload_part(**at, **part, Body=content, ChecksumAlgorithm=_CHECKSUM), what)
        return part | {name: sent[name] for name in ("ETag", f"Checksum{_CHECKSUM}")}

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return list(pool.map(send, range(0, path.stat().st_size, PART)))


def _unless_there(put: Callable[..., Any], **given: Any) -> bool:
    """Put; False if the server refused because the object exists or the upload is finished.

    Then the same content was put before, perhaps by this process, whose answer was lost. The caller checks the size.
    """
    try:
        put(**given)
    except ClientError as error:
        if status_of(error) != 412 and code_of(error) != "NoSuchUpload":
            raise
        return False
    return True


def download(client: S3Client, uri: str, folder: Path) -> Path:
    """Download a user's object to a file, or all objects directly under a prefix to a folder, below `folder`.

    Raises ConfigError if there is nothing at `uri`.
    """
    bucket, key = split_uri(uri)
    place = folder / (key.rpartition("/")[2] or bucket)
    if key and not uri.endswith("/") and fetch_file(client, bucket, key, place) is not None:
        return place
    prefix = f"{key}/" if key else ""
    keys = [
        found
        for found in (one.key for one in listed_under(client, bucket, prefix))
        if "/" not in found[len(prefix) :] and found != prefix
    ]
    if not keys:
        raise ConfigError(f"there is nothing at {uri}. Name an object, or a prefix with objects right under it.")
    for found in keys:
        if fetch_file(client, bucket, found, place / found[len(prefix) :]) is None:
            raise TransientError(f"s3://{bucket}/{found} went away while {uri} was read. Try again.")
    return place
