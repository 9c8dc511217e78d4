"""A store in an S3 bucket. Conditional puts decide races; a put without an answer is checked by its mark."""

import hashlib
import secrets
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from foundry_tasks.adapters.s3_files import fetch_file, listed_under, send_file, split_uri
from foundry_tasks.adapters.s3_server import PATIENCE_S, S3Client, ask, code_of, explain, status_of
from foundry_tasks.contract.artifacts import object_key
from foundry_tasks.contract.errors import MissingInputError, TransientError
from foundry_tasks.contract.ports import StoredKey

_APPENDS = 400
"""Lost races after which `append` gives up. A hundred shards that end at once need tens."""
_MARK = "foundry-put"
"""Metadata that distinguishes this process's put from another put of the same bytes."""
_ABSENT = {"IfNoneMatch": "*"}


class S3Store:
    """Implements `contract.ports.Store` on a server with `If-Match` and `If-None-Match: *` for puts."""

    def __init__(self, uri: str, client: S3Client) -> None:
        self._bucket, self._prefix = split_uri(uri)
        self.uri = f"s3://{self._bucket}/{self._prefix}".rstrip("/")
        self._client = client
        self._downloads: Path | None = None

    def read(self, key: str) -> bytes | None:
        """The content at the key, or None."""
        return self._read(key)[0]

    def write(self, key: str, data: bytes) -> None:
        """One unconditional put. An interrupted put changes nothing."""
        ask(lambda: self._client.put_object(**self._at(key), Body=data), f"writing {self.locate(key)}")

    def create(self, key: str, data: bytes) -> bool:
        """A put with `If-None-Match: *`. False if the server refuses it."""
        return self._put_if(key, data, _ABSENT) is True

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        """A put with `If-Match` on the ETag that was read.

        Raises TransientError if the answer was lost and others have written since: the winner is then unknown.
        """
        found, condition = self._read(key)
        if found != expected:
            return False
        won = self._put_if(key, data, condition)
        if won is None:
            raise TransientError(
                f"whether {self.locate(key)} was written is not known: the answer was lost and others have written since. "
                "The run can be repeated."
            )
        return won

    def append(self, key: str, line: bytes) -> None:
        """Read, add the line and swap; repeat after a lost race. Raises TransientError after the last try."""
        pause = 0.005
        for _ in range(_APPENDS):
            found, condition = self._read(key)
            grown = (found or b"") + line + b"\n"
            won = self._put_if(key, grown, condition)
            if won or (won is None and (self.read(key) or b"").startswith(grown)):  # a log only grows
                return
            time.sleep(pause * secrets.randbelow(1000) / 1000)
            pause = min(1.5 * pause, 0.25)
        raise TransientError(f"{self.locate(key)} is too busy: {_APPENDS} races lost. The run can be repeated.")

    def put_object(self, source: Path) -> str:
        """Upload under the sha256 with a checksum that the server verifies. An object of the same size is not sent again.

        Raises TransientError if the server holds fewer bytes than were sent.
        """
        with source.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
        sha256, size = digest.hexdigest(), source.stat().st_size
        key = object_key(sha256)
        kept = self._size(key)
        if kept != size:
            self._upload(source, key, digest.digest(), _ABSENT if kept is None else {})
            if self._size(key) != size:
                raise TransientError(
                    f"the S3 server stored fewer bytes than were sent, writing {self.locate(key)}. Try again."
                )
        return sha256

    def has_object(self, sha256: str) -> bool:
        """Whether the server has the object's key."""
        return self._size(object_key(sha256)) is not None

    def object_path(self, sha256: str) -> Path:
        """As in the port. Downloads the object once per process and verifies its sha256."""
        path = self._folder() / sha256
        if path.is_file():
            return path
        where = self.locate(object_key(sha256))
        found = fetch_file(self._client, self._bucket, self._full(object_key(sha256)), path)
        if found is None:
            raise MissingInputError(
                f"object {sha256[:12]}… is not in the store ({where}). Run the stage that makes it again."
            )
        if found != sha256:
            path.unlink()
            raise MissingInputError(
                f"object {sha256[:12]}… is damaged in the store ({where}): what is there has sha256 {found[:12]}…. Delete "
                "it and run the stage that makes it again."
            )
        path.chmod(0o444)
        return path

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys of `listed`."""
        return (one.key for one in self.listed(prefix))

    def listed(self, prefix: str) -> Iterator[StoredKey]:
        """Reads all pages of the listing before the first key is returned."""
        cut = len(self._full(""))
        for one in listed_under(self._client, self._bucket, self._full(prefix)):
            yield replace(one, key=one.key[cut:])

    def delete(self, key: str) -> None:
        """One delete request; a missing key is no error."""
        ask(lambda: self._client.delete_object(**self._at(key)), f"deleting {self.locate(key)}")

    def locate(self, key: str) -> str:
        """The `s3://` URI."""
        return f"{self.uri}/{key}"

    # ------------------------------------------------------------ inside
    def _full(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def _at(self, key: str) -> Any:
        return {"Bucket": self._bucket, "Key": self._full(key)}

    def _read(self, key: str) -> tuple[bytes | None, dict[str, str]]:
        """Content of a key (or None), and the condition under which a put replaces exactly this content."""

        def get() -> tuple[bytes | None, dict[str, str]]:
            try:
                answer = self._client.get_object(**self._at(key))
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None, _ABSENT
                raise
            with closing(answer["Body"]) as body:
                return body.read(), {"IfMatch": answer["ETag"]}

        return ask(get, f"reading {self.locate(key)}")

    def _head(self, key: str) -> Any:
        """Size and metadata of a key, or None."""

        def head() -> Any:
            try:
                return self._client.head_object(**self._at(key))
            except ClientError as error:
                if status_of(error) == 404:  # HEAD has no body with a code
                    return None
                raise

        return ask(head, f"looking at {self.locate(key)}")

    def _size(self, key: str) -> int | None:
        found = self._head(key)
        return None if found is None else int(found["ContentLength"])

    def _upload(self, source: Path, key: str, sha256: bytes, conditions: dict[str, str]) -> None:
        send_file(self._client, self._bucket, self._full(key), source, sha256, conditions)

    def _put_if(self, key: str, data: bytes, condition: dict[str, str]) -> bool | None:
        """Put under a condition. Returns whether it was done; None if unknown.

        If an answer was lost, the put may have been done, and its repetition is then refused. The mark on the stored
        object tells. None: an answer was lost, and the object now carries another mark.
        """
        mark, what = secrets.token_hex(8), f"writing {self.locate(key)}"
        until, pause, lost = time.monotonic() + PATIENCE_S, 0.1, False
        while True:
            try:
                self._client.put_object(**self._at(key), Body=data, Metadata={_MARK: mark}, **condition)
            except (BotoCoreError, ClientError) as error:
                if status_of(error) == 412 or code_of(error) == "NoSuchKey":
                    return (self._mark(key) == mark or None) if lost else False
                busy = code_of(error) == "ConditionalRequestConflict"  # another put runs; this one was not done
                explained = explain(error, what)
                if not (busy or isinstance(explained, TransientError)) or time.monotonic() + pause > until:
                    raise explained from error
                lost = lost or not busy
            else:
                return True
            time.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
            pause = min(2 * pause, 2.0)

    def _mark(self, key: str) -> str | None:
        found = self._head(key)
        return found["Metadata"].get(_MARK) if found else None

    def _folder(self) -> Path:
        """Folder of this process's downloads, deleted when the process ends."""
        if self._downloads is None:
            self._downloads = Path(tempfile.mkdtemp(prefix="foundry-objects-"))
            weakref.finalize(self, shutil.rmtree, self._downloads, ignore_errors=True)
        return self._downloads
