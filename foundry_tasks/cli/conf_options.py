"""The conf of a command: the options that give it, how they are read, and `foundry conf`, which prints it."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import JsonValue

from foundry_tasks.cli.command import Command
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.identity import last_completed_session
from foundry_tasks.contract.market import given_conf
from foundry_tasks.contract.plain import ConfValue
from foundry_tasks.contract.stages import MARKET_STAGES, conf_fields
from foundry_tasks.contract.typed import conf_of_environment, conf_of_settings


def add_conf(parser: argparse.ArgumentParser, stages: Sequence[str]) -> None:
    """Add the options that give a conf, and list the keys of these stages below the help."""
    yesterday = last_completed_session(datetime.now(UTC))
    parser.add_argument("--as-of", type=date.fromisoformat, default=yesterday, help="last completed session")
    parser.add_argument("--config", default="{}", help="conf as JSON, or a file of it")
    typed = parser.add_mutually_exclusive_group()
    typed.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one key of the conf")
    typed.add_argument(
        "--from-make", action="store_true", help="take the variables of `make demo` from the environment"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [
        f"  {name}={json.dumps(field.get_default(call_default_factory=True), default=str)}"
        for name, field in conf_fields(stages).items()
    ]
    parser.epilog = "keys of the conf and their defaults:\n" + "\n".join(lines)


def conf_of(options: argparse.Namespace) -> dict[str, ConfValue]:
    """What `--config` says, and over it what is typed."""
    typed = conf_of_environment(os.environ, cwd=Path.cwd()) if options.from_make else conf_of_settings(options.set)
    return {**_document(options.config), **typed}


def _document(text: str) -> Mapping[str, JsonValue]:
    """A conf as JSON, or the file that holds it."""
    source = text
    if not text.lstrip().startswith("{"):
        try:
            source = Path(text.removeprefix("file://")).read_text()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ConfigError(f"--config {text} cannot be read: {reason}. Give JSON or a file of it.") from error
    try:
        document = json.loads(source, object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--config is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise ConfigError(f"--config must be a JSON object of key: value, got {type(document).__name__}.")
    return document


def _each_key_once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ConfigError(f"--config gives {twice[0]} twice. Leave one out.")
    return dict(pairs)


# ---------------------------------------------------------------- the command
def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_conf(parser, MARKET_STAGES)


def _run(options: argparse.Namespace) -> int:
    conf = given_conf(conf_of(options), Settings.from_environment().markets)
    sys.stdout.write(json.dumps(conf) + "\n")
    return 0


COMMANDS = (Command("conf", "check a conf and print it as JSON, as a trigger takes it", _add_arguments, _run),)
