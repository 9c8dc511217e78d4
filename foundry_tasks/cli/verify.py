"""`foundry verify`: whether everything in the store is whole."""

import argparse
import sys

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.cli.command import Command
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.runtime import progress


def _add_arguments(_: argparse.ArgumentParser) -> None:
    """It takes none."""


def _run(_: argparse.Namespace) -> int:
    """Read the store through; what is damaged is listed and exits with 1."""
    from foundry_tasks.store import integrity  # noqa: PLC0415 - only who reads the store through loads it

    found = integrity.survey(open_store(Settings.from_environment()))
    sys.stdout.writelines(f"{line}\n" for line in found.damaged)
    sys.stdout.writelines(f"{key} is named by a result, and gone\n" for key in found.gone)
    progress.say(
        "verified", objects=found.objects, documents=found.documents, damaged=len(found.damaged), gone=len(found.gone)
    )
    return 1 if found.damaged else 0


COMMANDS = (Command("verify", "read the store through: is everything in it whole?", _add_arguments, _run),)
