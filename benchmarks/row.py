"""One line of a benchmark: ours, theirs and the bar."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

Seconds = Callable[[], float]
"""Does its work once and returns the seconds."""
Unit = Literal["s", "s of CPU", "MB", "ns a row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measurement and its peer. The ratio is theirs / ours, so more is better.

    ours, theirs: medians, in `unit`. ratio: median of the pairs; ratio_low, ratio_high: smallest and largest. least_ratio, most:
    bars for the ratio and for ours, or None. quick: `make bench-check` compares it.
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
        """A row from turns in pairs."""
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
        """Identifies the row in its benchmark."""
        return f"{self.name}, against {self.against}, in {self.unit}"

    @property
    def bar(self) -> str:
        """The bar as text."""
        ratio = "" if self.least_ratio is None else f"ratio ≥ {self.least_ratio:g}"
        ours = "" if self.most is None else f"ours ≤ {self.most:g} {self.unit}"
        return ", ".join(part for part in (ratio, ours) if part)

    @property
    def met(self) -> bool:
        """Whether its bars are met; True without bars."""
        enough = self.least_ratio is None or self.ratio >= self.least_ratio
        return enough and (self.most is None or self.ours <= self.most)


Turns = list[tuple[float, float]]
"""Seconds of ours and theirs, one entry per pair."""


def timed(call: Callable[[], object], *, repeats: int = 1) -> Seconds:
    """Wrap a call so that it returns its seconds. repeats: number of calls for the mean, for calls of milliseconds."""
    return _clocked(call, time.perf_counter, repeats)


def cpu_timed(call: Callable[[], object], *, repeats: int = 1) -> Seconds:
    """As `timed`, in CPU seconds of all threads, which do not depend on the machine's load."""
    return _clocked(call, time.process_time, repeats)


def _clocked(call: Callable[[], object], clock: Seconds, repeats: int) -> Seconds:
    def seconds() -> float:
        started = clock()
        for _ in range(repeats):
            call()
        return (clock() - started) / repeats

    return seconds


def taking_turns(ours: Seconds, theirs: Seconds, *, pairs: int) -> Turns:
    """Let both take turns, after one warm-up turn each."""
    ours()
    theirs()
    return [(ours(), theirs()) for _ in range(pairs)]


def each(turns: Turns, our_parts: int, their_parts: int) -> Turns:
    """The turns divided by the number of parts that each turn makes, such as features."""
    return [(ours / our_parts, theirs / their_parts) for ours, theirs in turns]
