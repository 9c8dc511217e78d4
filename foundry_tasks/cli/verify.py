"""`foundry verify`: checks all objects and documents of the store."""

import argparse
import sys

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.cli.command import Command
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.runtime import progress


def _add_arguments(_: argparse.ArgumentParser) -> None:
    """The command has no arguments."""


def _run(_: argparse.Namespace) -> int:
    """Check the store and list damaged and missing keys; exit code 1 if one is damaged."""
    from foundry_tasks.store import integrity  # noqa: PLC0415 - only this command needs it

    found = integrity.survey(open_store(Settings.from_environment()))
    sys.stdout.writelines(f"{line}\n" for line in found.damaged)
    sys.stdout.writelines(f"{key} is named by a result but is not in the store\n" for key in found.gone)
    progress.say(
        "verified", objects=found.objects, documents=found.documents, damaged=len(found.damaged), gone=len(found.gone)
    )
    return 1 if found.damaged else 0


COMMANDS = (Command("verify", "read the store through: is everything in it whole?", _add_arguments, _run),)
