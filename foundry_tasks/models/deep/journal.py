"""What a fit of many epochs asks of whoever runs it: to save its state after an epoch, and to report progress."""

from typing import Protocol


class FitJournal(Protocol):
    """Saves elsewhere, since a model touches no disk. A fit is named by the digest of all that it follows from."""

    def load(self, fit: str) -> bytes | None:
        """The state that an earlier try of this fit saved last; None where there was none."""

    def save(self, fit: str, state: bytes) -> None:
        """Save the state of the fit, in place of the one before."""

    def advance(self, note: str) -> None:
        """One of the plan's epochs is over, or is not needed."""


class NoJournal:
    """For fits that begin anew where they were killed, and that nobody watches."""

    def load(self, fit: str) -> None:
        """Nothing."""

    def save(self, fit: str, state: bytes) -> None:
        """Forget it."""

    def advance(self, note: str) -> None:
        """Tell nobody."""


NO_JOURNAL = NoJournal()
