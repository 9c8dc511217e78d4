"""The page: one file that asks nobody for anything, written from the report's document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents import Gate, Interval, Report
from foundry_tasks.contract.documents.ensemble import ModelFigures
from foundry_tasks.contract.documents.gates import EntryFigures, FoldFigures
from foundry_tasks.contract.documents.report_gates import JudgedDiagnostics
from foundry_tasks.report import bars, diagnostics_tables, plots, portfolio_tables, wording
from foundry_tasks.report.bars import Row
from foundry_tasks.report.svg import Scale
from foundry_tasks.report.wording import absences, by_reason, data_facts, excluded_lines, large_move_lines, seconds

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).resolve().parent
STYLE = _FOLDER / "page.css"
"""The style sheet of every page."""
_FIGURES = (
    ("auc_up", "AUC against up/down", 0.5),
    ("auc_median", "AUC against the median", 0.5),
    ("rank_ic", "Rank IC", 0.0),
)
_COMPARED: Mapping[str, Callable[[ModelFigures], float | None]] = {
    "auc_up": lambda model: model.auc_up,
    "auc_median": lambda model: model.auc_median,
    "rank_ic": lambda model: model.rank_ic,
}
"""A figure of `_FIGURES`, of a compared model."""
K = TypeVar("K", int, str)
"""A horizon."""


def page_environment() -> "Environment":
    """Templates of this folder, strict and escaping."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only who writes a page loads it

    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def write_html(document: Report) -> str:
    """`report.html`. Well-formed XML as well, so that a test can read it."""
    environment = page_environment()
    environment.filters |= {
        "figure": wording.figure,
        "percent": lambda value: wording.figure(value, wording.percent),
        "bp": lambda value: wording.figure(value, wording.bp),
        "days": wording.horizon_name,
        "seconds": seconds,
        "short": lambda digest: digest[:12],
        "position": wording.position,
    }
    prices, features = document.data.prices, document.data.features
    page: str = environment.get_template("page.html.j2").render(
        dict(document),
        style=STYLE.read_text(),
        signs=wording.VERDICT_SIGNS,
        matrix=_gate_matrix(document),
        plots=plots,
        bars=bars,
        tables=portfolio_tables,
        diagnostic_rows=diagnostics_tables.diagnostic_rows(document),
        expected_rows=diagnostics_tables.expected_against_observed(document),
        hits=_hits(document),
        entries=_entries(document),
        folds=_folds(document),
        live_drawn=_live(document),
        live_history=wording.live_history,
        drift_line=wording.drift_line,
        comparison=_comparison(document),
        data_facts=data_facts(prices) if prices else (),
        absences=absences(document.absent),
        left_out=by_reason(features.left_out) if features else {},
        excluded=excluded_lines(prices.excluded) if prices else {},
        large_moves=large_move_lines(prices.large_moves) if prices else {},
        prediction_reach=_prediction_reach(document),
        longest_stage=max((stage.total_s for stage in document.stages), default=0.0),
        totals={key: sum(getattr(stage, key) for stage in document.stages) for key in ("start_s", "work_s", "total_s")},
    )
    return page


@dataclass(frozen=True, slots=True)
class GateCell:
    """A gate at one horizon, as text and as a bar."""

    gate: Gate
    value: str
    note: str
    interval: str
    bar: str


@dataclass(frozen=True, slots=True)
class GateRow:
    """A gate at every horizon, every bar on the same scale. gate: the one that says what is asked."""

    name: str
    label: str
    gate: Gate
    cells: Mapping[int, GateCell]


def _gate_matrix(document: Report) -> list[GateRow]:
    policy = document.policy
    if policy is None:
        return []
    asked: dict[str, dict[int, Gate]] = {}
    for horizon, gates in document.gates.items():
        for gate in gates:
            asked.setdefault(gate.name, {})[horizon] = gate
    return [
        GateRow(name, wording.gate_style(name).label, next(iter(row.values())), _gate_cells(name, row, policy))
        for name, row in asked.items()
    ]


def _gate_cells(name: str, row: Mapping[int, Gate], policy: GatePolicy) -> dict[int, GateCell]:
    scale = bars.gate_scale(name, list(row.values()), policy)
    return {
        horizon: GateCell(
            gate,
            wording.gate_value(gate),
            wording.gate_note(gate),
            wording.gate_interval(gate),
            bars.range_bar(gate, scale, policy),
        )
        for horizon, gate in row.items()
    }


def _shared(rows_by_horizon: Mapping[K, list[Row]], reference: float | None) -> Scale:
    return bars.interval_scale([row for rows in rows_by_horizon.values() for row in rows], reference)


def _diagnostics(document: Report) -> dict[int, JudgedDiagnostics]:
    return {horizon: item.diagnostics for horizon, item in document.evidence.items() if item.diagnostics}


def _hits(document: Report) -> dict[int, dict[str, str]]:
    """Per horizon: hit rate beside that of always saying up, Brier beside the base rate's."""
    found = {}
    for horizon, diagnostics in _diagnostics(document).items():
        base = diagnostics.base_rate
        always = None if base is None else max(base, 1 - base)
        hit_rows = [
            Row.of("P(up) > ½", diagnostics.hit_rate_up),
            Row("always up" if base and base >= 0.5 else "always down", always, kind="plain"),
        ]
        brier_rows = [Row.of("P(up)", diagnostics.brier), Row.of("base rate", diagnostics.brier_base_rate, "plain")]
        found[horizon] = {
            "hit": bars.interval_rows(hit_rows, wording.percent, reference=always),
            "brier": bars.interval_rows(brier_rows, wording.fine, reference=diagnostics.brier_base_rate.value),
        }
    return found


def _live(document: Report) -> dict[int, dict[str, str]]:
    """Per horizon: live AUC, hit rate and Brier score, the last two beside what knows nothing."""
    found = {}
    for horizon, item in (document.live.horizons if document.live else {}).items():
        live = item.live
        always = None if live.base_rate is None else max(live.base_rate, 1 - live.base_rate)
        hit_rows = [Row.of("P(up) > ½", live.hit_rate), Row("one direction", always, kind="plain")]
        brier_rows = [Row.of("P(up)", live.brier), Row.of("base rate", live.brier_base_rate, "plain")]
        found[horizon] = {
            "AUC per session": bars.interval_rows([Row.of("P(up)", live.auc)], wording.plain, reference=0.5),
            "Hit rate": bars.interval_rows(hit_rows, wording.percent, reference=always),
            "Brier score, lower is better": bars.interval_rows(
                brier_rows, wording.fine, reference=live.brier_base_rate.value
            ),
        }
    return found


def _entries(document: Report) -> dict[int, dict[str, str]]:
    """Per horizon: how well P(up) ranks under the three entries, on scales shared by the horizons."""

    def rows(figure: Callable[[EntryFigures], Interval]) -> dict[int, list[Row]]:
        return {
            horizon: [
                Row.of(wording.ENTRY_NAMES.get(entry, entry), figure(item))
                for entry, item in diagnostics.entries.items()
            ]
            for horizon, diagnostics in _diagnostics(document).items()
        }

    drawn: dict[int, dict[str, str]] = {}
    for key, found, reference in (
        ("auc_up", rows(lambda item: item.auc_up), 0.5),
        ("rank_ic", rows(lambda item: item.rank_ic), 0.0),
    ):
        scale = _shared(found, reference)
        for horizon, items in found.items():
            drawing = bars.interval_rows(items, wording.plain, reference=reference, domain=scale)
            drawn.setdefault(horizon, {})[key] = drawing
    return drawn


def _folds(document: Report) -> dict[int, dict[str, str]]:
    def rows(figure: Callable[[FoldFigures], float | None]) -> dict[int, list[Row]]:
        return {
            horizon: [Row(f"fold {number}", figure(item)) for number, item in enumerate(diagnostics.folds, start=1)]
            for horizon, diagnostics in _diagnostics(document).items()
        }

    return _drawn_by_figure(
        {
            "auc_up": rows(lambda fold: fold.auc_up),
            "auc_median": rows(lambda fold: fold.auc_median),
            "rank_ic": rows(lambda fold: fold.rank_ic),
        }
    )


def _comparison(document: Report) -> dict[int, dict[str, str]]:
    rows = {
        key: {
            horizon: [
                Row(wording.model_title(item.model), figure(item), kind="" if item.model == "stack" else "plain")
                for item in models.comparison
            ]
            for horizon, models in document.models.items()
        }
        for key, figure in _COMPARED.items()
    }
    drawn = _drawn_by_figure(rows)
    added = {
        horizon: [
            Row.of(wording.model_title(item.model), item.adds) for item in models.comparison if item.adds is not None
        ]
        for horizon, models in document.models.items()
    }
    scale = _shared(added, 0.0)
    for horizon, items in added.items():
        if items:
            drawing = bars.interval_rows(items, wording.signed, reference=0.0, domain=scale, height=21)
            drawn[horizon] |= {"AUC that the average gains by it": drawing}
    return drawn


def _drawn_by_figure(rows: Mapping[str, Mapping[K, list[Row]]]) -> dict[K, dict[str, str]]:
    """Horizon → name of the figure → drawing."""
    drawn: dict[K, dict[str, str]] = {}
    for key, name, reference in _FIGURES:
        scale = _shared(rows[key], reference)
        for horizon, items in rows[key].items():
            drawing = bars.interval_rows(items, wording.plain, reference=reference, domain=scale, height=21)
            drawn.setdefault(horizon, {})[name] = drawing
    return drawn


def _prediction_reach(document: Report) -> float:
    predictions = document.predictions
    if predictions is None:
        return 0.0
    shown = predictions.top + predictions.bottom
    return bars.reach_of([item.p_up for entry in shown for item in entry.horizons.values()])
