"""Live: how earlier predictions did once their labels had matured, and which features have drifted most."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents import Report
from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.documents.monitor import FeatureDrift, LiveFigures, MonitorSettings
from foundry_tasks.contract.documents.report import LiveHorizon, LiveSection, ShownDrift
from foundry_tasks.report import interval_bars, wording
from foundry_tasks.report.interval_bars import Row
from foundry_tasks.report.markdown_table import table
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.terminal_style import Terminal, wrapped
from foundry_tasks.report.wording import estimate, figure, horizon_name, percent

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs

DRIFTS_SHOWN = 8


# ------------------------------------------------------------------ report.json
class Keys(Part):
    """Its keys of report.json."""

    live: LiveSection | None


def _assemble(inputs: "ReportInputs") -> Keys:
    monitor = inputs.documents.monitor
    if monitor is None:
        return Keys(live=None)
    horizons = {
        horizon: LiveHorizon(version=item.version, live=item.live, drift=_shown(item.drift))
        for horizon, item in monitor.horizons.items()
    }
    return Keys(live=LiveSection(asked=monitor.asked, horizons=horizons))


def _shown(drift: FeatureDrift) -> ShownDrift:
    return ShownDrift(
        features=drift.features[: max(DRIFTS_SHOWN, len(drift.beyond))],
        beyond=drift.beyond,
        above=drift.above,
        measured=len(drift.features),
    )


# ------------------------------------------------------------------ shown
def _html(document: Report) -> Values | None:
    live = document.live
    if live is None:
        return None
    drawn = {horizon: _drawn(item.live) for horizon, item in live.horizons.items()}
    return {"live_drawn": drawn, "live_history": _history, "drift_line": _drift_line}


def _drawn(live: LiveFigures) -> dict[str, str]:
    """Live AUC, hit rate and Brier score, the last two beside what knows nothing."""
    always = None if live.base_rate is None else max(live.base_rate, 1 - live.base_rate)
    hit_rows = [Row.of("P(up) > ½", live.hit_rate), Row("one direction", always, kind="plain")]
    brier_rows = [Row.of("P(up)", live.brier), Row.of("base rate", live.brier_base_rate, "plain")]
    return {
        "AUC per session": interval_bars.interval_rows([Row.of("P(up)", live.auc)], wording.plain, reference=0.5),
        "Hit rate": interval_bars.interval_rows(hit_rows, wording.percent, reference=always),
        "Brier score, lower is better": interval_bars.interval_rows(
            brier_rows, wording.fine, reference=live.brier_base_rate.value
        ),
    }


def _markdown(document: Report) -> Iterator[str]:
    live = document.live
    if live is None:
        return
    yield from table(
        ("horizon", "sessions", "AUC per session", "hit rate", "base rate", "Brier", "Brier of the base rate"),
        [
            (horizon_name(h), item.live.sessions, estimate(item.live.auc), estimate(item.live.hit_rate, percent),
             figure(item.live.base_rate, percent), estimate(item.live.brier, wording.fine),
             estimate(item.live.brier_base_rate, wording.fine))
            for h, item in live.horizons.items()
        ],
    )  # fmt: skip
    for h, item in live.horizons.items():
        yield f"- {horizon_name(h)}: {_history(item.live)}"
        yield f"- {horizon_name(h)}, drift: {_drift_line(item.drift, live.asked)}"
    yield ""
    yield from table(
        ("horizon", "feature", "PSI", "95 % of earlier windows below"),
        [
            (horizon_name(h), row.feature, figure(row.psi), figure(row.usual))
            for h, item in live.horizons.items()
            for row in item.drift.features
        ],
    )


def _terminal(document: Report, _terminal: Terminal) -> Iterator[str]:
    live = document.live
    if live is None:
        return
    yield "Live, predictions whose labels have matured"
    for h, item in live.horizons.items():
        auc, text = item.live.auc, _history(item.live)
        if item.live.sessions:
            bounds = wording.interval(auc.lower, auc.upper) or "(too few sessions for an interval)"
            text = f"AUC {figure(auc.value)} {bounds}, {text}"
        yield from wrapped(f"{horizon_name(h)}: {text}", "  ")
        yield from wrapped(_drift_line(item.drift, live.asked), "    ")


def _history(live: LiveFigures) -> str:
    """What live figures are made of, in one line."""
    parts = []
    if live.sessions:
        versions = wording.listed([f"{name}: {count}" for name, count in live.versions.items()])
        sessions = "1 session" if live.sessions == 1 else f"{live.sessions} sessions"
        parts.append(f"{sessions}, {live.first} to {live.last} ({versions})")
    else:
        parts.append("no prediction has matured yet")
    if live.late:
        parts.append(f"{live.late} of them made after the next session had opened")
    if live.waiting:
        parts.append(f"{live.waiting} waiting for their labels")
    if live.fitted_on:
        parts.append(f"{live.fitted_on} left out: their version was fitted on them")
    return "; ".join(parts)


def _drift_line(drift: ShownDrift, asked: MonitorSettings) -> str:
    """How many features have drifted, in one line."""
    if not drift.measured:
        return "not measured: the features that the model was fitted on are not in the store any more"
    return (
        f"{drift.above} of {drift.measured} features have a PSI above {asked.max_psi:g} over the last "
        f"{asked.drift_sessions} sessions, {len(drift.beyond)} of them more than is usual for them"
    )


SECTION = Section(
    name="live",
    order=60,
    title="Live: predictions whose labels have matured",
    assemble=_assemble,
    top_level=True,
    html=_html,
    markdown=_markdown,
    terminal=_terminal,
)
