"""What a fit of many epochs asks of whoever runs it: to keep how far it has come, and to tell people."""

from typing import Protocol


class FitJournal(Protocol):
    """Kept outside, since a model knows no disk. A fit is named by the digest of all that it follows from."""

    def kept(self, fit: str) -> bytes | None:
        """What an earlier try kept of this fit last; None where there was none."""

    def keep(self, fit: str, state: bytes) -> None:
        """Keep how far the fit has come, instead of what was kept of it before."""

    def advance(self, note: str) -> None:
        """One of the plan's epochs is over, or is not needed."""


class NoJournal:
    """For fits that begin anew where they were killed, and that nobody watches."""

    def kept(self, fit: str) -> None:
        """Nothing."""

    def keep(self, fit: str, state: bytes) -> None:
        """Forget it."""

    def advance(self, note: str) -> None:
        """Tell nobody."""


NO_JOURNAL = NoJournal()
