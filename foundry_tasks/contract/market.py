"""Markets: TOML files with defaults for a run's conf, such as price source, universe, horizons and policy.

A relative path in a market file is relative to the file's folder, so the folder can be moved as a whole. Absolute paths,
paths at `~` and URIs are kept.
"""

import os
import re
import tomllib
from pathlib import Path

from pydantic import JsonValue

from foundry_tasks.contract.config import MARKET_NAME, PricesConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.plain import Conf, ConfValue
from foundry_tasks.contract.stages import check_conf

DEFAULT_MARKET: str = PricesConfig.model_fields["market"].default
FILE_KEYS = ("prices", "sectors", "benchmark", "vix", "universe")
"""Keys of a conf whose value is a file, a folder or a URI."""


def given_conf(conf: Conf, markets: str) -> dict[str, JsonValue]:
    """`conf` validated together with its market's defaults, but without them: ready for JSON, as a trigger takes it.

    Raises ConfigError as `with_market` does.
    """
    merged = with_market(conf, markets)
    return {key: merged[key] for key in conf}


def with_market(conf: Conf, markets: str) -> dict[str, JsonValue]:
    """`conf` merged over the defaults of its market and validated, each value as the stages read it.

    markets: FOUNDRY_MARKETS. The default market needs no file: it is the built-in sample. Raises ConfigError for a
    market that no file defines, a file that cannot be read, and every unknown key or impossible value at once.
    """
    name = conf.get("market", DEFAULT_MARKET)
    if not isinstance(name, str):
        raise ConfigError(f"market={name!r}: give the name of one market, such as {DEFAULT_MARKET!r}.")
    files = _market_files(markets)
    known = {DEFAULT_MARKET, *files}
    if name not in known and name.lower() in known:
        raise ConfigError(f"no market {name!r}: did you mean {name.lower()!r}? A market is named in lower case.")
    if not re.fullmatch(MARKET_NAME, name):
        raise ConfigError(f"market={name!r}: a market is named by lower-case letters, digits and _, a letter first.")
    if name not in known:
        raise ConfigError(
            f"no market {name!r}: FOUNDRY_MARKETS names {sorted(files) or 'no market file'}. Write {name}.toml there, with "
            'lines such as source = "parquet" and prices = "prices.parquet".'
        )
    merged: dict[str, ConfValue] = {**(_read(files[name]) if name in files else {}), **conf, "market": name}
    checked = check_conf(merged)
    if conf.get("prices") and checked.get("source") != "parquet":
        raise ConfigError(
            f"prices={conf['prices']!r} is read by source=parquet alone. Give source=parquet, or leave prices out."
        )
    return checked


def _market_files(markets: str) -> dict[str, Path]:
    files = {}
    for entry in filter(None, markets.split(os.pathsep)):
        path = Path(entry).expanduser()
        if not path.exists():
            raise ConfigError(
                f"FOUNDRY_MARKETS names {entry}, which does not exist. Give market files or folders of them."
            )
        for file in sorted(path.glob("*.toml")) if path.is_dir() else [path]:
            files[file.stem] = file
    return files


def _read(path: Path) -> dict[str, JsonValue]:
    try:
        defaults = check_conf(tomllib.loads(path.read_text()))
    except (OSError, ValueError) as error:  # not TOML, not UTF-8, or a number with thousands of digits
        raise ConfigError(
            f"market file {path} cannot be read: {error}. Mend it, or take it out of FOUNDRY_MARKETS."
        ) from error
    except ConfigError as error:
        raise ConfigError(*error.faults, where=f"market file {path}") from error
    return defaults | {
        key: _beside(path, file) for key in FILE_KEYS if isinstance(file := defaults.get(key), str) and file
    }


def _beside(market: Path, file: str) -> str:
    return file if "://" in file else str(market.parent / os.path.expanduser(file))  # noqa: PTH111 - as in typed.py
