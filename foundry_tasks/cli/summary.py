"""`foundry summary`: a run's summary on the terminal, or its report in a browser."""

import argparse
import os
import sys
from pathlib import Path

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.cli.command import Command
from foundry_tasks.contract.environment_variables import Settings


def print_summary(settings: Settings, dag: str, run_id: str | None) -> None:
    """Print a run's summary; of the newest run that has a report where run_id is None."""
    from foundry_tasks.report.summary import render  # noqa: PLC0415 - only who reads a report loads it

    sys.stdout.write(render(open_store(settings), dag, run_id))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dag", default="foundry_train")
    parser.add_argument("--run-id", help="default: the newest run that has a report")
    parser.add_argument("--open", action="store_true", help="open the page of the report in a browser instead")


def _run(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    if options.open:
        _open_report(settings, options.dag, options.run_id)
    else:
        print_summary(settings, options.dag, options.run_id)
    return 0


def _open_report(settings: Settings, dag: str, run_id: str | None) -> None:
    """Say where the page is, and open it where there is a screen."""
    import webbrowser  # noqa: PLC0415 - only who opens a page loads it

    from foundry_tasks.report.summary import page_of  # noqa: PLC0415 - only who reads a report loads it

    page = page_of(open_store(settings), dag, run_id)
    address = page if "://" in page else Path(page).resolve().as_uri()
    sys.stdout.write(f"{address}\n")
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)
    else:
        sys.stderr.write("there is no screen to open it on: open the address in a browser, or copy the file\n")


COMMANDS = (Command("summary", "print a run's summary again", _add_arguments, _run),)
