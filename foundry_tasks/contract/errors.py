"""The exception tree and its exit codes: what Airflow makes of a stage's end is decided here and nowhere else."""

from typing import ClassVar


class FoundryError(Exception):
    """A failure that Foundry foresaw. Its text is one line: what is wrong, where, and what to do."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """One line, whatever was typed that it repeats."""
        return _one_line(super().__str__())


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


class ConfigError(FoundryError):
    """What was asked for cannot be done, now or on a retry.

    faults: what is wrong, each for itself. where: the file that all of them are in. advice: what to do about any of them.
    """

    exit_code: ClassVar[int] = 10

    def __init__(self, *faults: str, where: str = "", advice: str = "") -> None:
        text = "; ".join(faults)
        super().__init__(f"{f'{where}: ' if where else ''}{text}{f'. {advice}' if advice else ''}")
        self.faults = tuple(map(_one_line, faults))
        self.where = where
        self.advice = advice


class MissingInputError(ConfigError):
    """An upstream stage of this run has published nothing."""


class DataRejectedError(FoundryError):
    """The data does not meet its expectations; what was rejected lies in quarantine.

    reason: what is wrong, where, and what to do. more: addresses of the findings in the store.
    """

    exit_code: ClassVar[int] = 20

    def __init__(self, reason: str, *, more: tuple[str, ...] = ()) -> None:
        super().__init__(f"{reason} More: {', '.join(more)}." if more else reason)
        self.reason = _one_line(reason)
        self.more = more


class TransientError(FoundryError):
    """Something outside did not answer; the same call may go through later."""

    exit_code: ClassVar[int] = 30


class NothingToDo(FoundryError):  # noqa: N818 - not an error to its reader: the market is closed, the stage is skipped
    """There is honestly nothing to do, such as a session on which the market is closed."""

    exit_code: ClassVar[int] = 99
