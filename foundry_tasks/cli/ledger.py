"""`foundry ledger`: `show` prints records, `verify` proves the chain, `repair` makes the registry follow it."""

import argparse
import sys

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.cli.command import Command
from foundry_tasks.cli.json_rows import print_rows
from foundry_tasks.cli.wiring import open_registry
from foundry_tasks.contract.environment_variables import Settings


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["show", "verify", "repair"])
    parser.add_argument("model", nargs="?", help="such as foundry-us-5d; default: all")


def _run(options: argparse.Namespace) -> int:
    """Exit code 1 says that something is left to repair."""
    from foundry_tasks.ledger import decisions  # noqa: PLC0415 - a stage that moves no champion starts without it

    settings = Settings.from_environment()
    store = open_store(settings)
    if options.action == "show":
        print_rows(decisions.show(store, options.model))
        return 0
    if options.action == "repair":
        repaired = decisions.repair(store, open_registry(settings), options.model)
        sys.stdout.writelines(f"{line}\n" for line in repaired.lines or ["nothing to repair"])
        return 0 if repaired.whole else 1
    findings = decisions.verify(store, open_registry(settings), options.model)
    sys.stdout.writelines(f"{line}\n" for line in findings or ["the ledger verifies"])
    return 1 if findings else 0


COMMANDS = (Command("ledger", "show, verify or repair the ledger of promotions", _add_arguments, _run),)
