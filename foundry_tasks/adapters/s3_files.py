"""Objects of a bucket as files: listed; downloaded and uploaded whole or not at all, large ones in parts side by side."""

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
"""Bytes; a server takes 10,000 parts of an object, and none but the last below 5 MiB."""
_CHECKSUM = "CRC32"
"""Of a part on its way, where its SHA-256 would be a third pass; what is read is held against the object's own."""
_SIDE_BY_SIDE = 8
"""Parts under way at once, which are in memory."""


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; the key may be empty. Raises ConfigError where there is no bucket."""
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
    """Download an object to `path`, which appears once it is whole. Its sha256; None where there is no such object."""

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
    """Write an object to a file; its sha256. The first part comes with the answer, the others are asked for beside it."""
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
    """Upload a file; the server holds every byte against a checksum before there is an object.

    sha256: the file's digest, the checksum of one that goes as a whole. conditions: `IfNoneMatch` and the like; one that
    does not hold is no error.
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
            with suppress(FoundryError):  # what stopped it matters more
                ask(lambda: client.abort_multipart_upload(**at), what)


def _send_parts(client: S3Client, at: Mapping[str, str], path: Path, what: str) -> list[dict[str, Any]]:
    """Every part as `complete_multipart_upload` wants it."""

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
    """Whether it was done.

    If not, somebody has put the same content, we ourselves perhaps, whose answer was lost: whoever looks at the size sees.
    """
    try:
        put(**given)
    except ClientError as error:
        if status_of(error) != 412 and code_of(error) != "NoSuchUpload":
            raise
        return False
    return True


def download(client: S3Client, uri: str, folder: Path) -> Path:
    """A user's object, or all objects right under a prefix, as a file or a folder of files below `folder`."""
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
