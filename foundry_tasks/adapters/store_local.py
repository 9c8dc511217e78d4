"""A store in a folder. Writes are atomic, and exactly one of several racing writers wins."""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from foundry_tasks.contract.artifacts import object_key
from foundry_tasks.contract.errors import ConfigError, MissingInputError, TransientError
from foundry_tasks.contract.ports import StoredKey

_UNUSABLE = {
    errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ELOOP,
    errno.ENAMETOOLONG,
}  # fmt: skip


class LocalStore:
    """Implements `contract.ports.Store` on a file system with atomic rename and hard links."""

    def __init__(self, root: str | Path) -> None:
        try:
            self.root = Path(root).expanduser().resolve()
        except RuntimeError as error:  # unknown user after ~, or a loop of links
            raise ConfigError(f"the store cannot be used: {str(error).lower()} ({root}). Set FOUNDRY_STORE.") from error
        self.uri = str(self.root)
        with _explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)

    def read(self, key: str) -> bytes | None:
        """The content of the file, or None."""
        with _explained(self.root / key):
            try:
                return (self.root / key).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, key: str, data: bytes) -> None:
        """Write a temporary file and rename it to the key."""
        with self._staged(key, data) as staged:
            staged.replace(self.root / key)

    def create(self, key: str, data: bytes) -> bool:
        """Write a temporary file and hard-link it to the key. False if the key exists."""
        with self._staged(key, data) as staged:
            try:
                os.link(staged, self.root / key)
            except FileExistsError:
                return False
        return True

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        """Compare and replace, under the lock file `<key>.lock`."""
        lock = self.root / f"{key}.lock"
        with _explained(lock):
            lock.parent.mkdir(parents=True, exist_ok=True)
            with lock.open("a") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                if self.read(key) != expected:
                    return False
                self.write(key, data)
                return True

    def append(self, key: str, line: bytes) -> None:
        """Append the line in one call, so that lines of several processes do not mix."""
        path = self.root / key
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab", buffering=0) as log:
                log.write(line + b"\n")

    def put_object(self, source: Path) -> str:
        """Copy and hash in parallel, fsync, make the file read-only and rename it to its sha256."""
        # Hashing takes as long as copying, so both run at the same time; the name is known afterwards.
        with self._part_of(self.root / object_key("new")) as part, ThreadPoolExecutor(1) as hasher:
            hashed = hasher.submit(_sha256, source)
            shutil.copyfile(source, part)
            with part.open("rb") as copy:
                os.fsync(copy.fileno())
            sha256 = hashed.result()
            if not self.has_object(sha256):
                part.chmod(0o444)
                part.replace(self.root / object_key(sha256))
        return sha256

    def has_object(self, sha256: str) -> bool:
        """Whether the file of the object exists."""
        return (self.root / object_key(sha256)).is_file()

    def object_path(self, sha256: str) -> Path:
        """The object's file in the store. Raises MissingInputError."""
        path = self.root / object_key(sha256)
        if not path.is_file():
            raise MissingInputError(
                f"object {sha256[:12]}… is not in the store ({path}). Run the stage that makes it again."
            )
        return path

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys with this prefix, sorted, without lock files and temporary files."""
        folder = self.root / prefix.rpartition("/")[0]
        found = (path.relative_to(self.root).as_posix() for path in folder.rglob("*") if path.is_file())
        yield from sorted(key for key in found if key.startswith(prefix) and not key.endswith((".lock", ".part")))

    def listed(self, prefix: str) -> Iterator[StoredKey]:
        """As `keys`, with size and time; a file that is deleted meanwhile is skipped."""
        for key in self.keys(prefix):
            with suppress(FileNotFoundError):  # deleted since it was listed
                found = (self.root / key).stat()
                yield StoredKey(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def delete(self, key: str) -> None:
        """Delete the file; a missing file is no error."""
        with _explained(self.root / key):
            (self.root / key).unlink(missing_ok=True)

    def locate(self, key: str) -> str:
        """The path of the file."""
        return str(self.root / key)

    @contextmanager
    def _staged(self, key: str, data: bytes) -> Iterator[Path]:
        """A temporary file with `data`, fsynced, in the folder of its target."""
        with self._part_of(self.root / key) as part:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.chmod(0o644)
            yield part

    @contextmanager
    def _part_of(self, target: Path) -> Iterator[Path]:
        """An empty temporary file in the folder of its target. Deleted on exit unless it was renamed."""
        with _explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
            os.close(handle)
            part = Path(name)
            try:
                yield part
            finally:
                part.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn OSError into ConfigError (store cannot be used) or TransientError (full, or failed)."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise TransientError(
                f"the store is full ({path}). Free space there; the run can then be repeated."
            ) from error
        if error.errno in _UNUSABLE:
            raise ConfigError(
                f"the store cannot be used: {str(error.strerror).lower()} ({path}). Make it writable or set FOUNDRY_STORE."
            ) from error
        raise TransientError(f"the store failed: {error.strerror} ({path}).") from error
