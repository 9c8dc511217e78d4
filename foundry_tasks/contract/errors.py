"""The exception tree and its exit codes: what Airflow makes of a stage's end is decided here and nowhere else."""

from typing import ClassVar


class FoundryError(Exception):
    """A failure that Foundry foresaw. Its text is one line: what is wrong, where, and what to do."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """One line, whatever was typed that it repeats."""
        return " ".join(super().__str__().splitlines())


class ConfigError(FoundryError):
    """What was asked for cannot be done, now or on a retry."""

    exit_code: ClassVar[int] = 10


class MissingInputError(ConfigError):
    """An upstream stage of this run has published nothing."""


class DataRejectedError(FoundryError):
    """The data does not meet its expectations; what was rejected lies in quarantine."""

    exit_code: ClassVar[int] = 20


class TransientError(FoundryError):
    """Something outside did not answer; the same call may go through later."""

    exit_code: ClassVar[int] = 30


class NothingToDo(FoundryError):  # noqa: N818 - not an error to its reader: the market is closed, the stage is skipped
    """There is honestly nothing to do, such as a session on which the market is closed."""

    exit_code: ClassVar[int] = 99
