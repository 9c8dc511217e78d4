"""Interface by which a fit of many epochs saves its state after an epoch and reports progress."""

from typing import Protocol


class FitJournal(Protocol):
    """Saves states for a fit; models do not access the disk. `fit` is a name with the digest of the fit's inputs."""

    def load(self, fit: str) -> bytes | None:
        """The last state that an earlier attempt at this fit saved; None if there is none."""

    def save(self, fit: str, state: bytes) -> None:
        """Save the state of the fit, replacing the previous one."""

    def advance(self, note: str) -> None:
        """Report that one epoch of the plan is done or is skipped. note: text for the progress log."""


class NoJournal:
    """A journal that saves and reports nothing: a killed fit starts again from the first epoch."""

    def load(self, fit: str) -> None:
        """None: no state is saved."""

    def save(self, fit: str, state: bytes) -> None:
        """Do nothing."""

    def advance(self, note: str) -> None:
        """Do nothing; nothing is reported."""


NO_JOURNAL = NoJournal()
