"""Exceptions and their exit codes. Airflow retries, skips or fails a task by its exit code."""

from typing import ClassVar


class FoundryError(Exception):
    """An expected failure. Its message is one line: what is wrong, where, and what to do."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """The message on one line. Line breaks, such as those of quoted input, become spaces."""
        return _one_line(super().__str__())


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


class ConfigError(FoundryError):
    """The request cannot be carried out; a retry does not help.

    faults: a sentence for each fault. where: the file that contains them. advice: what to do about them.
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
    """The data does not meet its expectations. The rejected data is in quarantine.

    reason: what is wrong, where, and what to do. more: addresses of the findings in the store.
    """

    exit_code: ClassVar[int] = 20

    def __init__(self, reason: str, *, more: tuple[str, ...] = ()) -> None:
        super().__init__(f"{reason} More: {', '.join(more)}." if more else reason)
        self.reason = _one_line(reason)
        self.more = more


class TransientError(FoundryError):
    """An external service did not answer or a disk is full. The same call may succeed later."""

    exit_code: ClassVar[int] = 30


class NothingToDo(FoundryError):  # noqa: N818 - not an error: the stage is skipped, such as on a day without a session
    """The stage has nothing to do, such as on a day when the market is closed. Airflow skips its task."""

    exit_code: ClassVar[int] = 99
