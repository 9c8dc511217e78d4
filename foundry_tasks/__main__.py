"""`foundry <stage>`, `foundry run`, `foundry check`, `foundry ledger` and the others: parse, run, exit code."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

# Threads that wait must sleep, not spin: where cores are shared or capped, spinning made a fit six times slower, and
# small matrix products gain nothing from threads. Boosters take their threads from the config. The libraries read these
# when they are loaded, so they come first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# One kernel on every x86: else a product's last bit, and with it a digest, would depend on the year of the CPU.
os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")
# Pydantic would look through every installed package for plugins, of which there are none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from foundry_tasks.runtime.import_clock import PROCESS

PROCESS.start()  # it times the imports that follow

from foundry_tasks.cli.commands import COMMANDS  # noqa: E402
from foundry_tasks.contract.errors import FoundryError, NothingToDo  # noqa: E402
from foundry_tasks.runtime.pipeline import StageFailedError  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns its exit code; a foreseen failure is one line on stderr."""
    signal.signal(signal.SIGTERM, _terminated)
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except StageFailedError as error:
        sys.stderr.write(f"foundry: {error}\n")
        return error.code
    except NothingToDo as reason:
        sys.stderr.write(f"nothing to do: {reason}\n")
        return reason.exit_code
    except FoundryError as error:
        sys.stderr.write(f"foundry: {error}\n")
        return error.exit_code
    return code


def run() -> NoReturn:
    """Run the command that was typed, and end at once: unloading the libraries would take up to a second more, a stage."""
    try:
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # whoever reads, such as `head`, has read enough
        code = 128 + signal.SIGPIPE
    os._exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="foundry", description="A factory for stock-direction models.")
    words = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        word = words.add_parser(command.name, help=command.does)
        command.add_arguments(word)
        word.set_defaults(command=command.run)
    return parser


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Leave through the with-blocks, so that the run log has its line and the workspace is gone."""
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    run()
