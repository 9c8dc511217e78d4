"""`foundry rollback` and `foundry approve`: a person's decision on the champion, recorded in the ledger with who and why."""

import argparse
import getpass
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.cli.command import Command
from foundry_tasks.cli.wiring import open_registry
from foundry_tasks.contract.environment_variables import Settings

if TYPE_CHECKING:
    from foundry_tasks.ledger.links import SignOff
    from foundry_tasks.ledger.records import LedgerRecord


# ---------------------------------------------------------------- rollback
def _add_rollback(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("--to", type=int, help="version; default: the champion before")
    _add_sign_off(parser)


def _rollback(options: argparse.Namespace) -> int:
    from foundry_tasks.ledger import decisions  # noqa: PLC0415 - a stage that moves no champion starts without it

    settings = Settings.from_environment()
    store, registry = open_store(settings), open_registry(settings)
    return _say(decisions.rollback(store, registry, options.model, _sign_off(options), to_version=options.to))


# ---------------------------------------------------------------- approve
def _add_approve(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("version", type=int)
    _add_sign_off(parser)


def _approve(options: argparse.Namespace) -> int:
    """Print verdict and look of the version, then record the approval."""
    from foundry_tasks.ledger import briefing, decisions  # noqa: PLC0415 - as above

    settings = Settings.from_environment()
    store, registry = open_store(settings), open_registry(settings)
    sys.stdout.writelines(f"{line}\n" for line in briefing.on_version(store, options.model, options.version))
    return _say(decisions.approve(store, registry, options.model, options.version, _sign_off(options)))


# ---------------------------------------------------------------- both
def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="such as foundry-us-5d")


def _add_sign_off(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--who", default=getpass.getuser(), help="goes into the ledger; default: the user")
    parser.add_argument("--why", required=True, help="goes into the ledger")


def _sign_off(options: argparse.Namespace) -> "SignOff":
    from foundry_tasks.ledger.links import SignOff  # noqa: PLC0415 - as above

    return SignOff(options.who, options.why, datetime.now(UTC))


def _say(record: "LedgerRecord") -> int:
    sys.stdout.write(
        f"{record.model}: champion was {record.from_version or 'none'}, is version {record.to_version} "
        f"(ledger record {record.sequence})\n"
    )
    return 0


COMMANDS = (
    Command("rollback", "make an earlier champion champion again", _add_rollback, _rollback),
    Command("approve", "promote a challenger", _add_approve, _approve),
)
