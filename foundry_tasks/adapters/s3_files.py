"""Objects of a bucket as files: listed, and downloaded whole or not at all."""

import hashlib
import tempfile
from contextlib import closing
from datetime import UTC
from pathlib import Path

from botocore.exceptions import ClientError

from foundry_tasks.adapters.s3_server import S3Client, ask, code_of
from foundry_tasks.contract.errors import ConfigError, TransientError
from foundry_tasks.contract.ports import StoredKey

_CHUNK = 1 << 20


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
        digest = hashlib.sha256()
        with closing(answer["Body"]) as body, tempfile.TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder) / "part"
            with part.open("wb") as stream:
                for chunk in body.iter_chunks(_CHUNK):
                    digest.update(chunk)
                    stream.write(chunk)
            part.replace(path)
        return digest.hexdigest()

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return ask(fetched, f"reading s3://{bucket}/{key}")
    except OSError as error:
        raise TransientError(
            f"s3://{bucket}/{key} cannot be kept at {path.parent}: {str(error.strerror).lower()}. Free space there or set "
            "TMPDIR; the run can then be repeated."
        ) from error


def download(client: S3Client, uri: str, folder: Path) -> Path:
    """A user's object, or all objects right under a prefix, as a file or a folder of files below `folder`."""
    bucket, key = split_uri(uri)
    place = folder / (key.rpartition("/")[2] or bucket)
    if key and not uri.endswith("/") and fetch_file(client, bucket, key, place) is not None:
        return place
    prefix = f"{key}/" if key else ""
    beside = [
        found
        for found in (one.key for one in listed_under(client, bucket, prefix))
        if "/" not in found[len(prefix) :] and found != prefix
    ]
    if not beside:
        raise ConfigError(f"there is nothing at {uri}. Name an object, or a prefix with objects right under it.")
    for found in beside:
        if fetch_file(client, bucket, found, place / found[len(prefix) :]) is None:
            raise TransientError(f"s3://{bucket}/{found} went away while {uri} was read. Try again.")
    return place
