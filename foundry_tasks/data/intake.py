"""Judged bars of the prices stage: every bar's verdict, and the coverage that remains."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from foundry_tasks.data.bar_verdicts import Bars, Judged, coverage, judge, newest_priced
from foundry_tasks.data.panel import BoolArray, DateArray, FloatArray


@dataclass(frozen=True)
class Intake:
    """Judged bars on the sessions of a calendar.

    sessions: (n_sessions,); the last one is the as-of date. member: (n_sessions, n_tickers), None without a universe file.
    coverage: share of expected ticker-sessions with a kept bar. by_ticker: (n_tickers,) coverage of each ticker, NaN
    without expected ticker-sessions. newest: index of the newest priced session, -1 if there is none.
    """

    bars: Bars
    judged: Judged
    sessions: DateArray
    member: BoolArray | None
    coverage: float
    by_ticker: FloatArray
    newest: int

    @property
    def as_of(self) -> date:
        """The last session."""
        day: date = self.sessions[-1].item()
        return day

    @property
    def newest_session(self) -> date | None:
        """The newest priced session; None if there is none."""
        return self.sessions[self.newest].item() if self.newest >= 0 else None

    def up_to_newest(self, keep: Sequence[str] = (), redenominations: Sequence[date] = ()) -> "Intake":
        """Cut to the newest priced session and judge the remaining bars again. Coverage stays that of all bars.

        keep, redenominations: as in `judge`.
        """
        bars, stop = self.bars.up_to(self.newest), self.newest + 1
        return replace(
            self,
            bars=bars,
            judged=judge(bars, keep, redenominations),
            sessions=self.sessions[:stop],
            member=None if self.member is None else self.member[:stop],
        )


def take_in(
    bars: Bars,
    sessions: DateArray,
    member: BoolArray | None,
    keep: Sequence[str] = (),
    redenominations: Sequence[date] = (),
) -> Intake:
    """Judge the bars and measure their coverage.

    sessions: (n_sessions,). member: (n_sessions, n_tickers) or None. keep, redenominations: as in `judge`.
    """
    judged = judge(bars, keep, redenominations)
    remaining, by_ticker = coverage(bars, judged.kept, member, len(sessions))
    newest = newest_priced(bars, judged.kept, member, len(sessions))
    return Intake(bars, judged, sessions, member, remaining, by_ticker, newest)
