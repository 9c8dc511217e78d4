"""A user's input files: which there are, and one digest over what is in them. Standard library only, to start fast."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from foundry_tasks.contract.errors import ConfigError

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".txt")


def input_files(path: str, key: str) -> list[Path]:
    """The files that `path` means, sorted. Raises ConfigError, naming the config key, where there is none."""
    if "://" in path:
        raise ConfigError(
            f"{key}={path!r}: Foundry reads files here and s3:// objects. Give the path or the URI of one."
        )
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            files = sorted(file for file in place.iterdir() if file.name.lower().endswith(PARQUET + CSV))
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
    if not place.name.lower().endswith(PARQUET + CSV):
        raise ConfigError(f"{key}={path!r} is neither parquet nor csv by its name. Rename it to .parquet or .csv.")
    return [place]


def single_file(path: str, key: str) -> Path:
    """The one file that `path` means. Raises ConfigError for a folder of several."""
    (file, *more) = input_files(path, key)
    if more:
        raise ConfigError(f"{key}={path!r} is a folder of {1 + len(more)} files. Give one file.")
    return file


def content_digest(files: Iterable[Path]) -> str:
    """sha256 over names and bytes."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
