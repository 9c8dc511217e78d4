"""Plots over sessions and over bins of P(up), as inline SVG from the report's document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foundry_tasks.contract.documents import Figure, Interval
from foundry_tasks.contract.documents.report import Curves
from foundry_tasks.contract.documents.report_gates import HorizonEvidence, ReliabilityBin, SessionFigures
from foundry_tasks.gates.style import ENTRY_NAMES
from foundry_tasks.report import svg
from foundry_tasks.report.svg import WIDTH, Scale

_TOP, _BOTTOM = 16.0, 22.0
_HEIGHT = 208.0
_LOW_HEIGHT = 118.0
_ENTRY_KINDS = {"close": "line one", "next_open": "line two", "next_close": "line three"}


@dataclass(frozen=True, slots=True)
class SessionAxis:
    """The time axis. sessions: ISO dates. fold_stops: index of the session after each fold's last one."""

    sessions: Sequence[str]
    fold_stops: Sequence[int]


def auc_by_session(evidence: HorizonEvidence) -> str:
    """AUC: a dot per session, the rolling mean, and the mean of all sessions with its interval as a band."""
    frame = _frame(evidence)
    if frame is None:
        return ""
    up = Scale(*frame, _plot_height(), 0.0)
    across = Scale(0, max(len(evidence.auc) - 1, 1), 0.0, WIDTH)
    mean = evidence.auc_mean or Interval(value=None)
    layer = ""
    if mean.lower is not None and mean.upper is not None:
        top, bottom = up(mean.upper), up(mean.lower)
        layer += f'<rect class="band" x="0" y="{top:.1f}" width="{WIDTH:g}" height="{bottom - top:.1f}"/>'
    layer += svg.shape(svg.dots_path(_within(evidence.auc, frame), across, up), "dots")
    if mean.value is not None:
        layer += svg.shape(f"M0 {up(mean.value):.1f}H{WIDTH:g}", "line mean")
    layer += svg.shape(svg.line_path(evidence.auc_rolling, across, up), "line one")
    axis = SessionAxis(evidence.sessions, evidence.fold_stops)
    return _over_sessions(axis, up, layer, reference=0.5, label="AUC of P(up) by session")


def sessions_outside(evidence: HorizonEvidence) -> int:
    """Number of sessions outside the vertical range of `auc_by_session`."""
    frame = _frame(evidence)
    if frame is None:
        return 0
    return sum(value is None for value in _within(evidence.auc, frame)) - sum(v is None for v in evidence.auc)


def _frame(evidence: SessionFigures) -> tuple[float, float] | None:
    """Vertical range of `auc_by_session`: the 3 % to 97 % quantiles of the AUC, widened to contain ½ and the rolling mean."""
    known = sorted(value for value in evidence.auc if value is not None)
    if not known:
        return None
    cut = len(known) // 33
    inside = [known[cut], known[-cut - 1], 0.5, *(value for value in evidence.auc_rolling if value is not None)]
    scale = svg.scale_over(inside, pad=0.04)
    return scale.low, scale.high


def _within(values: Sequence[float | None], frame: tuple[float, float]) -> list[float | None]:
    return [value if value is not None and frame[0] <= value <= frame[1] else None for value in values]


def cumulative_rank_ic(evidence: SessionFigures) -> str:
    """Running sums of rank IC, one line per entry, on the 95 % band without skill."""
    series = evidence.cumulative_rank_ic
    band = evidence.chance_band
    values = [value for line in series.values() for value in line if value is not None]
    if not values:
        return ""
    edges = [value for value in band if value is not None][-1:]
    scale = svg.scale_over([0.0, *values, *edges, *(-edge for edge in edges)], pad=0.04)
    up = Scale(scale.low, scale.high, _plot_height(), 0.0)
    across = Scale(0, max(len(evidence.sessions) - 1, 1), 0.0, WIDTH)
    lower = [None if value is None else -value for value in band]
    layer = svg.shape(svg.band_path(band, lower, across, up), "band chance")
    for entry, line in reversed(tuple(series.items())):
        layer += svg.shape(svg.line_path(line, across, up), _ENTRY_KINDS.get(entry, "line three"))
    axis = SessionAxis(evidence.sessions, evidence.fold_stops)
    return _over_sessions(axis, up, layer, reference=0.0, label="cumulative rank IC")


def entry_legend(evidence: SessionFigures) -> list[tuple[str, str]]:
    """CSS class and name of each line in `cumulative_rank_ic`."""
    return [
        (_ENTRY_KINDS.get(entry, "line three"), ENTRY_NAMES.get(entry, entry)) for entry in evidence.cumulative_rank_ic
    ]


def reliability(bins: Sequence[ReliabilityBin], base_rate: float | None) -> str:
    """Share up against P(up) for each bin, with intervals, base rate and diagonal."""
    if not bins:
        return ""
    height = _plot_height()
    x = svg.scale_over([item.p_up for item in bins], pad=0.12)
    y = svg.scale_over([value for item in bins for value in (item.lower, item.upper)], pad=0.06)
    up = Scale(y.low, y.high, _TOP + height, _TOP)
    body = _grid(up, y, factor=100)
    if base_rate is not None and y.low < base_rate < y.high:
        body += svg.line(0, up(base_rate), 100, up(base_rate), "reference")
    low, high = max(x.low, y.low), min(x.high, y.high)
    if high > low:
        body += svg.line(x(low), up(low), x(high), up(high), "diagonal")
    for item in bins:
        at = x(item.p_up)
        body += svg.line(at, up(item.lower), at, up(item.upper), "whisker")
        body += svg.dot(at, up(item.share_up), 4, "point")
    for value in svg.ticks(x.low, x.high, 5):
        body += svg.text(x(value), _HEIGHT - 5, f"{100 * value:g}", anchor="middle")
    return svg.drawing(_HEIGHT, body, "share of tickers that went up against P(up)")


def equity_curve(curves: Curves) -> str:
    """Compounded return after and before costs, with that of the benchmark and of the universe."""
    lines = {
        "line three": curves.buy_and_hold,
        "line two": curves.benchmark,
        "line one pale": curves.gross,
        "line one": curves.net,
    }
    return _curves(curves, lines, "compounded gains in per cent", _HEIGHT)


def drawdown_curve(curves: Curves) -> str:
    """Drawdown: loss from the highest equity so far, drawn below zero."""
    return _curves(curves, {"line one": curves.drawdown}, "drawdown in per cent", _LOW_HEIGHT)


def exposure_curve(curves: Curves) -> str:
    """Gross exposure (long + short) and net exposure (long − short)."""
    lines = {"line three": curves.gross_exposure, "line one": curves.net_exposure}
    return _curves(curves, lines, "what is held, in per cent of the capital", _LOW_HEIGHT)


def _curves(curves: Curves, lines: Mapping[str, Sequence[Figure]], label: str, height: float) -> str:
    """Lines over sessions. lines: CSS class → values, the last on top. label: for screen readers. height: in pixels."""
    if not curves.sessions:
        return ""
    scale = svg.scale_over([0.0, *(value for line in lines.values() for value in line)], pad=0.04)
    up = Scale(scale.low, scale.high, _plot_height(height), 0.0)
    across = Scale(0, max(len(curves.sessions) - 1, 1), 0.0, WIDTH)
    layer = "".join(svg.shape(svg.line_path(line, across, up), kind) for kind, line in lines.items())
    axis = SessionAxis(curves.sessions, curves.fold_stops)
    return _over_sessions(axis, up, layer, reference=0.0, label=label, whole=height)


def _over_sessions(
    axis: SessionAxis, up: Scale, layer: str, *, reference: float, label: str, whole: float = _HEIGHT
) -> str:
    """Grid, folds and dates around a stretched layer whose y is 0 at the top. whole: height of the drawing in pixels."""
    sessions, height = axis.sessions, _plot_height(whole)
    across = Scale(0, max(len(sessions) - 1, 1))
    shifted = Scale(up.low, up.high, up.first + _TOP, up.last + _TOP)
    body = _grid(shifted, up)
    start = 0
    for number, stop in enumerate(axis.fold_stops, start=1):
        if stop < len(sessions):
            body += svg.line(across(stop), _TOP - 8, across(stop), _TOP + height, "fold")
        body += svg.text(
            (across(start) + across(min(stop, len(sessions) - 1))) / 2, 9, f"fold {number}", "tick faint", "middle"
        )
        start = stop
    body += svg.stretched(_TOP, height, layer)
    body += svg.line(0, shifted(reference), 100, shifted(reference), "reference")
    for at, name in svg.date_ticks(sessions):
        if 3 < across(at) < 97:
            body += svg.text(across(at), whole - 5, name, anchor="middle")
    return svg.drawing(whole, body + _grid_labels(shifted, up), label)


def _grid(up: Scale, domain: Scale, *, factor: float | None = None) -> str:
    """Horizontal lines at round values; labelled with factor × value if `factor` is given."""
    lines = "".join(svg.line(0, up(value), 100, up(value), "grid") for value in svg.ticks(domain.low, domain.high))
    return lines if factor is None else lines + _grid_labels(up, domain, factor)


def _grid_labels(up: Scale, domain: Scale, factor: float = 1.0) -> str:
    """Labels of the grid, placed on its lines at the left so that they need no margin."""
    return "".join(
        svg.text(0, up(value) - 3, f"{factor * value:.4g}".replace("-", "−"), "tick halo")
        for value in svg.ticks(domain.low, domain.high)
        if abs(up(value) - up.last) > 8
    )


def _plot_height(whole: float = _HEIGHT) -> float:
    return whole - _TOP - _BOTTOM
