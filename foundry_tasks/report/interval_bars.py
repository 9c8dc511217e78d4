"""Bars and intervals: a gate's value against its threshold, figures side by side, shares, seconds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents import Gate, Interval
from foundry_tasks.contract.documents.report import StageTiming
from foundry_tasks.report import svg
from foundry_tasks.report.svg import Scale
from foundry_tasks.report.wording import gate_style


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of an interval plot. None: undefined."""

    name: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    kind: str = ""

    @classmethod
    def of(cls, name: str, found: Interval, kind: str = "") -> "Row":
        """An estimate and its interval."""
        return cls(name, found.value, found.lower, found.upper, kind)


def gate_scale(name: str, gates: Sequence[Gate], policy: GatePolicy) -> Scale | None:
    """One scale for a gate's bars at every horizon, so that they can be compared; None where it has no threshold."""
    style = gate_style(name)
    marks = style.marks(policy)
    values = [one for gate in gates for one in (gate.value, gate.lower, gate.upper) if one is not None]
    if not marks or not values:
        return None
    low, high = style.limits
    scale = svg.scale_over([*marks, *(min(max(value, low), high) for value in values)])
    return Scale(max(scale.low, low - 0.02 * (scale.high - scale.low)), scale.high, 2.0, 98.0)


def range_bar(gate: Gate, scale: Scale | None, policy: GatePolicy) -> str:
    """A gate's interval as a bar, its value as a dot, thresholds as ticks, and the range that passes shaded."""
    if scale is None or gate.value is None:
        return ""
    style = gate_style(gate.name)
    body = svg.line(0, 11, 100, 11, "track")
    if style.good is not None:
        low, high = (scale(bound) for bound in style.good(policy))
        body += svg.rect(low, 4, high - low, 14, "good", 2)
    for index, mark in enumerate(style.marks(policy)):
        body += svg.line(scale(mark), 2, scale(mark), 20, f"threshold t{index}")
    if gate.lower is not None and gate.upper is not None:
        left, right = scale(gate.lower), scale(gate.upper)
        body += svg.rect(left, 8, right - left, 6, "interval", 3)
        body += "".join(
            svg.text(at, 15, sign, "beyond", anchor)
            for at, sign, anchor, bound, edge in (
                (100, "▸", "end", gate.upper, scale.high),
                (0, "◂", "start", -gate.lower, -scale.low),
            )
            if bound > edge
        )
    body += svg.dot(scale(gate.value), 11, 4.5, "point")
    return svg.drawing(22, body, f"{style.label}: value and interval against the threshold", "range")


def interval_rows(
    rows: Sequence[Row],
    write: Callable[[float], str],
    *,
    reference: float | None = None,
    domain: Scale | None = None,
    height: float = 26.0,
) -> str:
    """Named figures under each other, with their intervals, on one scale."""
    known = [row for row in rows if row.value is not None]
    if not known:
        return ""
    scale = domain or interval_scale(rows, reference)
    body = ""
    if reference is not None:
        body += svg.line(scale(reference), 0, scale(reference), height * len(rows), "reference")
    for index, row in enumerate(rows):
        middle = height * (index + 0.5)
        body += svg.text(0, middle + 4, row.name, "name")
        if row.value is None:
            body += svg.text(100, middle + 4, "undefined", "number faint", "end")
            continue
        if row.lower is not None and row.upper is not None:
            left, right = scale(row.lower), scale(row.upper)
            body += svg.rect(left, middle - 3, right - left, 6, f"interval {row.kind}", 3)
        body += svg.dot(scale(row.value), middle, 4.5, f"point {row.kind}")
        body += svg.text(100, middle + 4, write(row.value), "number", "end")
    return svg.drawing(height * len(rows), body, "figures with their intervals", "chart rows")


def interval_scale(rows: Sequence[Row], reference: float | None) -> Scale:
    """The scale of `interval_rows`: between the names on the left and the numbers on the right."""
    values = [value for row in rows for value in (row.value, row.lower, row.upper)]
    return svg.scale_over([*values, reference], pad=0.05, first=32.0, last=82.0)


def share_bar(share: float | None, most: float, kind: str = "") -> str:
    """A bar from the left; `most` fills it. What is below zero leaves it empty."""
    if share is None or most <= 0:
        return ""
    width = 100 * min(max(share / most, 0.0), 1.0)
    return svg.drawing(10, svg.rect(0, 1, width, 8, f"share {kind}", 2), "share", "range")


def probability_bar(p_up: float | None, reach: float) -> str:
    """P(up) as a bar from one half, to the right above it and to the left below; `reach` fills a side."""
    if p_up is None:
        return ""
    scale = Scale(0.5 - reach, 0.5 + reach)
    at = scale(p_up)
    left, width, kind = (50.0, at - 50.0, "up") if at >= 50 else (at, 50.0 - at, "down")
    body = svg.line(50, 0, 50, 10, "track") + svg.rect(left, 1, width, 8, f"share {kind}", 2)
    return svg.drawing(10, body, "P(up)", "range")


def seconds_bar(stage: StageTiming, longest: float) -> str:
    """Start-up light, work dark, on one scale for all stages."""
    if longest <= 0:
        return ""
    start, work = (100 * seconds / longest for seconds in (stage.start_s, stage.work_s))
    kind = "share reused" if stage.reused_from else "share work"
    body = svg.rect(0, 1, start, 8, "share start") + svg.rect(start, 1, max(work, 0.15), 8, kind)
    return svg.drawing(10, body, "seconds: start-up, then work", "range")


def reach_of(p_ups: Sequence[float | None]) -> float:
    """How far from one half the farthest P(up) lies, rounded up to whole per cents."""
    farthest = max((abs(p_up - 0.5) for p_up in p_ups if p_up is not None), default=0.0)
    return max(math.ceil(100 * farthest) / 100, 0.01)
