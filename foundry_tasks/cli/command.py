"""Definition of a command: name, arguments, function."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command of `foundry`.

    name: the word after `foundry`. does: one line of `foundry --help`. add_arguments: adds the command's arguments to its
    parser. run: runs the command and returns the exit code; raises FoundryError for an expected failure.
    """

    name: str
    does: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
