"""A user's input files: list them and compute the digest of their content. Standard library only, for a fast start."""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from foundry_tasks.contract.errors import ConfigError

PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".txt", ".tsv")
PACKED = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zip")
_SUFFIXES = (*(kind + packing for kind in TEXT + PARQUET for packing in (*PACKED, "")), ".zip")
_READ = "Foundry reads .csv, .txt and .tsv, plain or with .gz, .bz2, .xz, .zst or .zip, and .parquet or .pq"
_HIVE_PART = re.compile(r"([^=/]+)=(.*)")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def suffix_of(name: str) -> str:
    """The suffix of a file name if Foundry reads such files, such as ".csv.gz"; else ""."""
    return next((name[-len(suffix) :] for suffix in _SUFFIXES if name.lower().endswith(suffix)), "")


def input_files(path: str, key: str) -> list[Path]:
    """The files at `path`, sorted: the file itself, or all files of a folder and its subfolders.

    key: the config key of the path, for errors. Raises ConfigError for a path without a readable file.
    """
    if "://" in path:
        raise ConfigError(
            f"{key}={path!r}: Foundry reads files here and s3:// objects. Give the path or the URI of one."
        )
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            files, _ = _walked(place)
            if not files:
                raise ConfigError(f"{key}={path!r} is a folder without parquet or csv files. Give another path.")
            return files
        with place.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ConfigError(
            f"{key}={path!r} cannot be read: {reason}. Give the path of a parquet or csv file."
        ) from error
    if not suffix_of(place.name):
        raise ConfigError(f"{key}={path!r} is neither parquet nor csv by its name. {_READ}: rename or convert it.")
    return [place]


def unread_files(path: str) -> list[str]:
    """Names in a folder that `input_files` skips: hidden files, markers of other tools, other types of files."""
    place = Path(path).expanduser()
    return _walked(place)[1] if place.is_dir() else []


def _walked(folder: Path) -> tuple[list[Path], list[str]]:
    """Files to read and names of skipped ones, both sorted. Skipped: names that begin with a dot, folders also with `_`."""
    files, others = [], []
    for root, folders, names in os.walk(folder):
        hidden = [name for name in folders if name.startswith((".", "_"))]
        others += [f"{name}/" for name in hidden]
        folders[:] = [name for name in folders if name not in hidden]
        for name in names:
            if suffix_of(name) and not name.startswith("."):
                files.append(Path(root, name))
            else:
                others.append(name)
    return sorted(files), sorted(others)


def single_file(path: str, key: str) -> Path:
    """The one file at `path`. Raises ConfigError for a folder of several files, and as `input_files` does."""
    (file, *more) = input_files(path, key)
    if more:
        raise ConfigError(f"{key}={path!r} is a folder of {1 + len(more)} files. Give one file.")
    return file


def partitions(file: Path) -> dict[str, str | None]:
    """Partition columns of a file's folders, outermost first: column → value, as in `ticker=IBM/date=2020-01-02/a.parquet`.

    The value is None for Hive's null partition.
    """
    found = []
    for folder in file.parents:
        part = _HIVE_PART.fullmatch(folder.name)
        if part is None:
            break
        value = unquote(part[2])
        found.append((unquote(part[1]), None if value == _HIVE_NULL else value))
    return dict(reversed(found))


def content_digest(files: Iterable[Path]) -> str:
    """sha256 over the files' names, their partition columns and their bytes, in the given order."""
    digest = hashlib.sha256()
    for file in files:
        name = "/".join([*(f"{key}={value}" for key, value in partitions(file).items()), file.name])
        digest.update(name.encode(errors="surrogateescape") + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
