"""`foundry trials`: every configuration that was ever evaluated on a market."""

import argparse

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.cli.command import Command
from foundry_tasks.cli.json_rows import print_rows
from foundry_tasks.contract.environment_variables import Settings


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", nargs="?", help="such as us; default: all")


def _run(options: argparse.Namespace) -> int:
    from foundry_tasks.inputs import trial_ledger  # noqa: PLC0415 - loaded by the commands that read trials

    rows = trial_ledger.show(open_store(Settings.from_environment()), options.market)
    print_rows(row.model_dump() for row in rows)
    return 0


COMMANDS = (Command("trials", "list every configuration that was ever evaluated on a market", _add_arguments, _run),)
