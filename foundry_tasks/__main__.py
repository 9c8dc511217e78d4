"""The command `foundry`: parses the arguments, runs the command, returns its exit code."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

# Waiting threads must sleep, not spin: with shared or capped cores, spinning made a fit six times slower. Small matrix
# products gain nothing from threads. Boosters take their number of threads from the config. The libraries read these
# variables when they are loaded, so they are set before the imports.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# The same kernel on every x86 CPU: otherwise the last bit of a product, and thus a digest, would depend on the CPU.
os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")
# Pydantic would otherwise search all installed packages for plugins; there are none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from foundry_tasks.runtime.import_clock import PROCESS

PROCESS.start()  # times the imports below

from foundry_tasks.cli.commands import COMMANDS  # noqa: E402
from foundry_tasks.contract.errors import FoundryError, NothingToDo  # noqa: E402
from foundry_tasks.runtime.pipeline import StageFailedError  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns its exit code; an expected failure is one line on stderr."""
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
    """Run the command, then end without unloading the libraries, which would take up to a second per stage."""
    try:
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
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
    """Raise SystemExit, so that with-blocks are left: the run log gets its line and the workspace is deleted."""
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    run()
