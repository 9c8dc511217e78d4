"""The page: one file that asks nobody for anything, written from the report's document."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from foundry_tasks.contract.documents import Report
from foundry_tasks.contract.documents.ensemble import ModelFigures
from foundry_tasks.report import bars, beside_tables, plots, portfolio_tables, wording
from foundry_tasks.report.bars import Row
from foundry_tasks.report.svg import Scale
from foundry_tasks.report.wording import absences, by_reason, data_facts, large_move_lines, seconds, set_aside_lines

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
        beside_rows=beside_tables.beside_the_gates(document),
        expected_rows=beside_tables.expected_against_observed(document),
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
        set_aside=set_aside_lines(prices.set_aside) if prices else {},
        large_moves=large_move_lines(prices.large_moves) if prices else {},
        prediction_reach=_prediction_reach(document),
        longest_stage=max((stage.total_s for stage in document.stages), default=0.0),
        totals={key: sum(getattr(stage, key) for stage in document.stages) for key in ("start_s", "work_s", "total_s")},
    )
    return page


def _gate_matrix(document: Report) -> list[dict[str, Any]]:
    """One row a gate, one cell a horizon, every bar of a row on the same scale."""
    policy = document.policy or {}
    rows: dict[str, dict[str, Any]] = {}
    for horizon, gates in document.gates.items():
        for gate in gates:
            row = rows.setdefault(gate["name"], {"name": gate["name"], "gate": gate, "cells": {}})
            row["cells"][horizon] = gate
    for row in rows.values():
        scale = bars.gate_scale(row["name"], list(row["cells"].values()), policy)
        row["label"] = wording.gate_style(row["name"]).label
        row["cells"] = {
            horizon: {
                "gate": gate,
                "value": wording.gate_value(gate),
                "note": wording.gate_note(gate),
                "interval": wording.gate_interval(gate),
                "bar": bars.range_bar(gate, scale, policy),
            }
            for horizon, gate in row["cells"].items()
        }
    return list(rows.values())


def _shared(rows_by_horizon: Mapping[K, list[Row]], reference: float | None) -> Scale:
    return bars.interval_scale([row for rows in rows_by_horizon.values() for row in rows], reference)


def _beside(document: Report) -> dict[str, Any]:
    return {horizon: item["beside"] for horizon, item in document.evidence.items() if item["beside"]}


def _hits(document: Report) -> dict[str, dict[str, str]]:
    """Per horizon: hit rate beside that of always saying up, Brier beside the base rate's."""
    found = {}
    for horizon, beside in _beside(document).items():
        hit, base = beside["hit_rate_up"], beside["base_rate"]
        always = None if base is None else max(base, 1 - base)
        hit_rows = [
            Row("P(up) > ½", **hit),
            Row("always up" if base and base >= 0.5 else "always down", always, kind="plain"),
        ]
        brier_rows = [Row("P(up)", **beside["brier"]), Row("base rate", **beside["brier_base_rate"], kind="plain")]
        found[horizon] = {
            "hit": bars.interval_rows(hit_rows, wording.percent, reference=always),
            "brier": bars.interval_rows(brier_rows, wording.fine, reference=beside["brier_base_rate"]["value"]),
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


def _entries(document: Report) -> dict[str, dict[str, str]]:
    """Per horizon: how well P(up) ranks under the three entries, on scales shared by the horizons."""
    rows = {
        key: {
            horizon: [
                Row(wording.ENTRY_NAMES.get(entry, entry), **item[key]) for entry, item in beside["entries"].items()
            ]
            for horizon, beside in _beside(document).items()
        }
        for key in ("auc_up", "rank_ic")
    }
    drawn: dict[str, dict[str, str]] = {}
    for key, reference in (("auc_up", 0.5), ("rank_ic", 0.0)):
        scale = _shared(rows[key], reference)
        for horizon, items in rows[key].items():
            drawing = bars.interval_rows(items, wording.plain, reference=reference, domain=scale)
            drawn.setdefault(horizon, {})[key] = drawing
    return drawn


def _folds(document: Report) -> dict[str, dict[str, str]]:
    rows = {
        key: {
            horizon: [Row(f"fold {number}", item[key]) for number, item in enumerate(beside["folds"], start=1)]
            for horizon, beside in _beside(document).items()
        }
        for key, _, _ in _FIGURES
    }
    return _drawn_by_figure(rows)


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
