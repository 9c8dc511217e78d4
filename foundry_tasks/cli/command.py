"""What a command is: a word, its arguments, and what it does with them."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A word after `foundry`.

    does: one line of `foundry --help`. add_arguments: adds the command's arguments to its parser. run: does it; returns
    the exit code, and raises FoundryError for a failure that is foreseen.
    """

    name: str
    does: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
