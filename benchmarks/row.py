"""One line of a benchmark: ours beside theirs, and the bar."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

Seconds = Callable[[], float]
"""Does its work once and says how many seconds that took."""
Unit = Literal["s", "s of CPU", "MB", "ns a row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured, against what; the ratio is theirs over ours, so that more is better.

    ours, theirs: medians, in `unit`. ratio: the median of the pairs, ratio_low and ratio_high the smallest and the largest.
    least_ratio, most: the bars, of the ratio and of ours; None where there is none. quick: `make bench-check` compares it.
    """

    name: str
    against: str
    ours: float
    theirs: float
    unit: Unit
    ratio: float
    ratio_low: float
    ratio_high: float
    least_ratio: float | None
    most: float | None
    quick: bool

    @classmethod
    def of(
        cls,
        turns: "Turns",
        name: str,
        against: str,
        *,
        unit: Unit = "s",
        least_ratio: float | None = None,
        most: float | None = None,
        quick: bool = False,
    ) -> Self:
        """A row of turns taken in pairs."""
        ratios = [theirs / ours for ours, theirs in turns]
        return cls(
            name=name,
            against=against,
            ours=statistics.median(ours for ours, _ in turns),
            theirs=statistics.median(theirs for _, theirs in turns),
            unit=unit,
            ratio=statistics.median(ratios),
            ratio_low=min(ratios),
            ratio_high=max(ratios),
            least_ratio=least_ratio,
            most=most,
            quick=quick,
        )

    @property
    def key(self) -> str:
        """What names it among the rows of its benchmark."""
        return f"{self.name}, against {self.against}, in {self.unit}"

    @property
    def bar(self) -> str:
        """What is asked of it, in words."""
        ratio = "" if self.least_ratio is None else f"ratio ≥ {self.least_ratio:g}"
        ours = "" if self.most is None else f"ours ≤ {self.most:g} {self.unit}"
        return ", ".join(part for part in (ratio, ours) if part)

    @property
    def met(self) -> bool:
        """Whether its bars are reached; a row without one informs."""
        enough = self.least_ratio is None or self.ratio >= self.least_ratio
        return enough and (self.most is None or self.ours <= self.most)


Turns = list[tuple[float, float]]
"""Ours and theirs, measured one after the other, once a pair."""


def timed(call: Callable[[], object], *, repeats: int = 1) -> Seconds:
    """A call as one that says how long it took. repeats: for what takes milliseconds, the mean of so many."""
    return _clocked(call, time.perf_counter, repeats)


def cpu_timed(call: Callable[[], object], *, repeats: int = 1) -> Seconds:
    """The same in seconds of CPU, all threads together: what it takes on a core of its own, however busy the machine is."""
    return _clocked(call, time.process_time, repeats)


def _clocked(call: Callable[[], object], clock: Seconds, repeats: int) -> Seconds:
    def seconds() -> float:
        started = clock()
        for _ in range(repeats):
            call()
        return (clock() - started) / repeats

    return seconds


def taking_turns(ours: Seconds, theirs: Seconds, *, pairs: int) -> Turns:
    """Let both take turns, after one each that does not count."""
    ours()
    theirs()
    return [(ours(), theirs()) for _ in range(pairs)]


def each(turns: Turns, our_parts: int, their_parts: int) -> Turns:
    """The same a part, where both made so many of them in a turn, such as features."""
    return [(ours / our_parts, theirs / their_parts) for ours, theirs in turns]
