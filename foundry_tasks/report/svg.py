"""Elements of drawings as inline SVG: scales, ticks, paths, shapes.

Horizontal positions are percentages, so that text has the same size at any width of the page. Colours come from the page's
style sheet.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 1000.0
"""Units across the stretched layer in which lines are drawn."""
Series = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Scale:
    """Linear map of low … high to first … last, clipped at both ends."""

    low: float
    high: float
    first: float = 0.0
    last: float = 100.0

    def __call__(self, value: float) -> float:
        """Position of a value; the middle if low equals high."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.first + (self.last - self.first) * min(max(share, 0.0), 1.0)


def scale_over(values: Sequence[float | None], *, pad: float = 0.08, first: float = 0.0, last: float = 100.0) -> Scale:
    """A scale over all known values, with a margin of `pad` × their range at both ends."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    room = (high - low) * pad or max(abs(high), 1e-6) * pad
    return Scale(low - room, high + room, first, last)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values from low to high, approximately `about` of them."""
    span = high - low
    if span <= 0:
        return []
    raw = span / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def date_ticks(sessions: Sequence[str], most: int = 6) -> Iterator[tuple[int, str]]:
    """Index and label of at most `most` round dates: months, quarters, half-years or years."""
    starts = [at for at in range(1, len(sessions)) if sessions[at][:7] != sessions[at - 1][:7]]
    for months in (1, 3, 6, 12, 24, 60):
        kept = [at for at in starts if (12 * int(sessions[at][:4]) + int(sessions[at][5:7]) - 1) % months == 0]
        if len(kept) <= most:
            names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
            for at in kept:
                month = int(sessions[at][5:7])
                yield at, sessions[at][:4] if month == 1 else names[month - 1]
            return


def line_path(values: Series, across: Scale, up: Scale) -> str:
    """Path through the known values; it breaks where one is missing."""
    parts, pen_down = [], False
    for index, value in enumerate(values):
        if value is None:
            pen_down = False
            continue
        parts.append(f"{'L' if pen_down else 'M'}{across(index):.1f} {up(value):.1f}")
        pen_down = True
    return "".join(parts)


def dots_path(values: Series, across: Scale, up: Scale) -> str:
    """A path of zero-length strokes, which round caps turn into dots."""
    return "".join(f"M{across(index):.1f} {up(value):.1f}h0" for index, value in enumerate(values) if value is not None)


def band_path(upper: Series, lower: Series, across: Scale, up: Scale) -> str:
    """Path of the closed area between two series, over the sessions where both are known."""
    there = [index for index, value in enumerate(upper) if value is not None and lower[index] is not None]
    if not there:
        return ""
    edge = [f"{across(index):.1f} {up(upper[index] or 0.0):.1f}" for index in there]
    edge += [f"{across(index):.1f} {up(lower[index] or 0.0):.1f}" for index in reversed(there)]
    return f"M{'L'.join(edge)}Z"


def drawing(height: float, body: str, label: str, kind: str = "chart") -> str:
    """The outer SVG element. It has no namespace: HTML needs none, and the page thus contains no address."""
    return f'<svg class="{kind}" width="100%" height="{height:g}" role="img" aria-label="{escape(label)}">{body}</svg>'


def stretched(top: float, height: float, body: str) -> str:
    """A layer that is stretched to the full width; `vector-effect` in the style sheet keeps the width of strokes and dots."""
    return (
        f'<svg x="0" y="{top:g}" width="100%" height="{height:g}" viewBox="0 0 {WIDTH:g} {height:g}" '
        f'preserveAspectRatio="none">{body}</svg>'
    )


def shape(path: str, kind: str) -> str:
    """A path with a CSS class; empty for an empty path."""
    return f'<path class="{kind}" d="{path}"/>' if path else ""


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line; x in per cent, y in pixels."""
    return f'<line class="{kind}" x1="{x1:.2f}%" y1="{y1:.1f}" x2="{x2:.2f}%" y2="{y2:.1f}"/>'


def rect(x: float, y: float, width: float, height: float, kind: str, radius: float = 0) -> str:
    """A rectangle; x and width in per cent, y and height in pixels."""
    rounding = f' rx="{radius:g}"' if radius else ""
    return (
        f'<rect class="{kind}" x="{x:.2f}%" y="{y:.1f}" width="{max(width, 0):.2f}%" height="{height:.1f}"{rounding}/>'
    )


def dot(x: float, y: float, radius: float, kind: str) -> str:
    """A point; x in per cent, y in pixels."""
    return f'<circle class="{kind}" cx="{x:.2f}%" cy="{y:.1f}" r="{radius:g}"/>'


def text(x: float, y: float, content: str, kind: str = "tick", anchor: str = "start") -> str:
    """A label; x in per cent, y of its base line in pixels."""
    return f'<text class="{kind}" x="{x:.2f}%" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
