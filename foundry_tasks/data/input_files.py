"""A user's input files: which there are, and one digest over what is in them. Standard library only, to start fast."""

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
    """The ending of a file name that Foundry reads, such as ".csv.gz"; "" where it is none."""
    return next((name[-len(suffix) :] for suffix in _SUFFIXES if name.lower().endswith(suffix)), "")


def input_files(path: str, key: str) -> list[Path]:
    """The files that `path` means, sorted; of a folder, those in folders within it too.

    Raises ConfigError, naming the config key, where there is none.
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
    """Names in a folder that `input_files` leaves out: hidden files, marks of other tools, other kinds of files."""
    place = Path(path).expanduser()
    return _walked(place)[1] if place.is_dir() else []


def _walked(folder: Path) -> tuple[list[Path], list[str]]:
    """Files to read, sorted, and names of what is left out. Hidden is what begins with a dot, and a folder with `_`."""
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
    """The one file that `path` means. Raises ConfigError for a folder of several."""
    (file, *more) = input_files(path, key)
    if more:
        raise ConfigError(f"{key}={path!r} is a folder of {1 + len(more)} files. Give one file.")
    return file


def partitions(file: Path) -> dict[str, str | None]:
    """Columns that the folders around a file name, as in `ticker=IBM/date=2020-01-02/part-0.parquet`; outermost first."""
    found = []
    for folder in file.parents:
        part = _HIVE_PART.fullmatch(folder.name)
        if part is None:
            break
        value = unquote(part[2])
        found.append((unquote(part[1]), None if value == _HIVE_NULL else value))
    return dict(reversed(found))


def content_digest(files: Iterable[Path]) -> str:
    """sha256 over names, with those of partition folders, and bytes."""
    digest = hashlib.sha256()
    for file in files:
        name = "/".join([*(f"{key}={value}" for key, value in partitions(file).items()), file.name])
        digest.update(name.encode(errors="surrogateescape") + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
