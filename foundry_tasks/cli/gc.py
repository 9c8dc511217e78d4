"""`foundry gc`: delete old runs and what nothing names any more."""

import argparse
import sys
from datetime import UTC, datetime, timedelta

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.cli.command import Command
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.runtime import progress


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep-days", type=int, default=90, help="runs younger than this stay; default: 90")
    parser.add_argument("--dry-run", action="store_true", help="only list what would go")


def _run(options: argparse.Namespace) -> int:
    """What may be forgotten, and with `--dry-run` no more than that."""
    from foundry_tasks.store import retention  # noqa: PLC0415 - only who deletes loads it

    store = open_store(Settings.from_environment())
    going = retention.plan(store, keep=timedelta(days=options.keep_days), now=datetime.now(UTC))
    for one in (*going.documents, *going.objects):
        sys.stdout.write(f"{one.key} {one.size_bytes}\n")
    if not options.dry_run:
        retention.collect(store, going)
    progress.say(
        "would delete" if options.dry_run else "deleted",
        documents=len(going.documents),
        objects=len(going.objects),
        megabytes=round(going.size_bytes / 1e6, 1),
        kept_runs=going.kept_runs,
    )
    return 0


COMMANDS = (
    Command(
        "gc",
        "delete old runs and what nothing names any more, never what the ledger refers to",
        _add_arguments,
        _run,
    ),
)
