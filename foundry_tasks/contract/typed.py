"""Parses a conf from text: `--set key=value`, and the variables of `make demo`.

The type of the key decides how its text is parsed: `tickers=700,1E5` is two tickers. A list is separated by commas, or JSON
that begins with `[`. Numbers, booleans and dates stay text here; the config models parse and validate them.
"""

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.market import FILE_KEYS
from foundry_tasks.contract.plain import ConfValue
from foundry_tasks.contract.stages import conf_fields

QUICK: Mapping[str, str] = {"seeds": "1"}
"""What `make demo QUICK=1` sets."""
_LISTS = ("horizons", "models")
"""Keys that have their own variable, besides FILE_KEYS."""


@dataclass(frozen=True)
class _Typed:
    """A key, its value, and its text as typed, for error messages."""

    key: str
    value: ConfValue
    source: str


def conf_of_settings(settings: Iterable[str], source: str = "--set") -> dict[str, ConfValue]:
    """The conf of `key=value` texts, as `--set` takes them. source: names them in messages.

    Raises ConfigError for a text without `=`, a broken list, and a key that is given two values. Unknown keys and invalid
    values are kept; `given_conf` refuses them.
    """
    return _merged(_setting(text, source) for text in settings)


def conf_of_environment(environment: Mapping[str, str], *, cwd: Path) -> dict[str, ConfValue]:
    """The conf of the variables of `make demo`: PRICES, SECTORS, BENCHMARK, VIX, UNIVERSE, HORIZONS, MODELS, QUICK, SET.

    An empty variable counts as unset. SET holds `key=value` words, quoted as for a shell. Paths of files become absolute:
    relative ones are relative to `cwd`, `~` is a home folder, `s3://` URIs are kept. Raises ConfigError as
    `conf_of_settings` does, and for a missing file.
    """
    return _merged(_absolute(typed, cwd) for typed in _variables(environment))


def _variables(environment: Mapping[str, str]) -> Iterable[_Typed]:
    for key in (*FILE_KEYS, *_LISTS):
        name = key.upper()
        if text := environment.get(name):
            yield _Typed(key, value_of(key, text), f"{name}={text}")
            if key == "prices":
                yield _Typed("source", "parquet", f"{name}={text}")
    quick = environment.get("QUICK", "")
    if quick not in {"", "0", "1"}:
        raise ConfigError(f"QUICK={quick!r}: write QUICK=1, or leave it out.")
    if quick == "1":
        yield from (_Typed(key, value_of(key, text), "QUICK=1") for key, text in QUICK.items())
    text = environment.get("SET", "")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"SET={text!r}: {error}. Close the quote, or write a backslash before it.") from error
    yield from (_setting(word, "SET") for word in words)


def _setting(text: str, source: str) -> _Typed:
    key, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(
            f"{source} {text}: write it as key=value"
            + (", a value that holds blanks in quotes." if source == "SET" else ".")
        )
    return _Typed(key.strip(), value_of(key.strip(), value), f"{source} {text}")


def _absolute(typed: _Typed, cwd: Path) -> _Typed:
    text = typed.value
    if typed.key not in FILE_KEYS or not isinstance(text, str) or not text or text.startswith("s3://"):
        return typed
    path = cwd / os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser raises for a file named ~something
    try:
        path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{typed.source}: {path}: {reason}. Give a file, a folder or an s3:// URI.") from error
    return _Typed(typed.key, str(path), typed.source)


def _merged(given: Iterable[_Typed]) -> dict[str, ConfValue]:
    """One value per key. The same value may be given twice. Raises ConfigError for two values."""
    found: dict[str, _Typed] = {}
    for typed in given:
        before = found.setdefault(typed.key, typed)
        if before.value != typed.value:
            raise ConfigError(f"{typed.key} is given twice, by {before.source} and by {typed.source}. Leave one out.")
    return {key: typed.value for key, typed in found.items()}


def value_of(key: str, text: str) -> ConfValue:
    """Parse `text` as a value of `key`: a text, a list, or None for an empty text, `none` or `null` of an optional key.

    Raises ConfigError for a list that is broken or has an empty item.
    """
    field = conf_fields().get(key)
    kind, optional = _kind(field.annotation if field else str)
    if kind is str:
        return text
    text = text.strip()
    if get_origin(kind) is tuple:
        return _items(key, text)
    return None if optional and text.lower() in {"", "none", "null"} and text not in get_args(kind) else text


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The type inside an annotation, and whether it allows None."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inside[0])
    if origin in {Union, UnionType}:
        [other] = [one for one in inside if one is not NoneType]
        return _kind(other)[0], True
    return annotation, False


def _items(key: str, text: str) -> ConfValue:
    if text.startswith("["):
        try:
            listed: list[ConfValue] = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f'{key}={text}: a list in brackets is JSON, such as ["a", "b"], and {error}.') from error
        return listed
    items = [item.strip() for item in text.split(",")] if text else []
    if "" in items:
        raise ConfigError(f"{key}={text}: item {items.index('') + 1} of the list is empty. Leave its comma out.")
    return items
