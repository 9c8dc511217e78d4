"""Plots of the gates' evidence: AUC by session, cumulative rank IC, calibration, entries and folds."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents import Interval, Report
from foundry_tasks.contract.documents.base import ByHorizon, Part
from foundry_tasks.contract.documents.gates import EntryFigures, FoldFigures
from foundry_tasks.contract.documents.report_gates import HorizonEvidence, JudgedDiagnostics
from foundry_tasks.gates.style import ENTRY_NAMES
from foundry_tasks.report import interval_bars, plots, wording
from foundry_tasks.report.interval_bars import Row
from foundry_tasks.report.markdown_table import table
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.skill_rows import drawn_by_figure, shared_scale
from foundry_tasks.report.wording import estimate, figure, horizon_name

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs


# ------------------------------------------------------------------ report.json
class Keys(Part):
    """The section's keys of report.json."""

    evidence: ByHorizon[HorizonEvidence]


def _assemble(inputs: "ReportInputs") -> Keys:
    from foundry_tasks.report.session_figures import session_figures  # noqa: PLC0415 - loads NumPy; the terminal needs none

    gates, evidence = inputs.documents.gates, {}
    for horizon, forecasts in sorted(inputs.forecasts.items()):
        judged = gates.horizons.get(horizon) if gates else None
        auc = judged.gate("auc") if judged else None
        evidence[horizon] = HorizonEvidence(
            **dict(session_figures(forecasts, horizon)),
            auc_mean=Interval(value=auc.value, lower=auc.lower, upper=auc.upper) if auc else None,
            diagnostics=JudgedDiagnostics(**dict(judged.diagnostics), trials=inputs.trials[horizon])
            if judged
            else None,
        )
    return Keys(evidence=evidence)


# ------------------------------------------------------------------ page
def _html(document: Report) -> Values | None:
    if not document.evidence:
        return None
    judged = _judged(document)
    hits = {horizon: _hits(diagnostics) for horizon, diagnostics in judged.items()}
    return {"plots": plots, "hits": hits, "entries": _entries(judged), "folds": _folds(judged)}


def _judged(document: Report) -> dict[int, JudgedDiagnostics]:
    return {horizon: item.diagnostics for horizon, item in document.evidence.items() if item.diagnostics}


def _hits(diagnostics: JudgedDiagnostics) -> dict[str, str]:
    """Hit rate, compared with that of always "up"; Brier score, compared with the base rate's."""
    base = diagnostics.base_rate
    always = None if base is None else max(base, 1 - base)
    hit_rows = [
        Row.of("P(up) > ½", diagnostics.hit_rate_up),
        Row("always up" if base and base >= 0.5 else "always down", always, kind="plain"),
    ]
    brier_rows = [Row.of("P(up)", diagnostics.brier), Row.of("base rate", diagnostics.brier_base_rate, "plain")]
    return {
        "hit": interval_bars.interval_rows(hit_rows, wording.percent, reference=always),
        "brier": interval_bars.interval_rows(brier_rows, wording.fine, reference=diagnostics.brier_base_rate.value),
    }


def _entries(judged: dict[int, JudgedDiagnostics]) -> dict[int, dict[str, str]]:
    """Horizon → drawings of AUC and rank IC of P(up) for the three entries; all horizons share their scales."""

    def rows(figure_of: Callable[[EntryFigures], Interval]) -> dict[int, list[Row]]:
        return {
            horizon: [
                Row.of(ENTRY_NAMES.get(entry, entry), figure_of(item)) for entry, item in diagnostics.entries.items()
            ]
            for horizon, diagnostics in judged.items()
        }

    drawn: dict[int, dict[str, str]] = {}
    for key, found, reference in (
        ("auc_up", rows(lambda item: item.auc_up), 0.5),
        ("rank_ic", rows(lambda item: item.rank_ic), 0.0),
    ):
        scale = shared_scale(found, reference)
        for horizon, items in found.items():
            drawing = interval_bars.interval_rows(items, wording.plain, reference=reference, domain=scale)
            drawn.setdefault(horizon, {})[key] = drawing
    return drawn


def _folds(judged: dict[int, JudgedDiagnostics]) -> dict[int, dict[str, str]]:
    def rows(figure_of: Callable[[FoldFigures], float | None]) -> dict[int, list[Row]]:
        return {
            horizon: [Row(f"fold {number}", figure_of(item)) for number, item in enumerate(diagnostics.folds, start=1)]
            for horizon, diagnostics in judged.items()
        }

    return drawn_by_figure(
        {
            "auc_up": rows(lambda fold: fold.auc_up),
            "auc_median": rows(lambda fold: fold.auc_median),
            "rank_ic": rows(lambda fold: fold.rank_ic),
        }
    )


# ------------------------------------------------------------------ text
def _markdown(document: Report) -> Iterator[str]:
    judged = _judged(document)
    if not judged:
        return
    yield from table(
        ("horizon", "AUC against the median", "rank IC", "hit rate", "base rate", "Brier", "Brier of the base rate"),
        [
            (horizon_name(h), estimate(b.auc_median), estimate(b.rank_ic), estimate(b.hit_rate_up), figure(b.base_rate),
             estimate(b.brier, wording.fine), estimate(b.brier_base_rate, wording.fine))
            for h, b in judged.items()
        ],
    )  # fmt: skip
    yield from table(
        ("horizon", "entry", "AUC against up/down", "rank IC"),
        [
            (horizon_name(h), ENTRY_NAMES.get(entry, entry), estimate(item.auc_up), estimate(item.rank_ic))
            for h, b in judged.items()
            for entry, item in b.entries.items()
        ],
    )
    yield from table(
        ("horizon", "fold", "AUC against up/down", "AUC against the median", "rank IC"),
        [
            (horizon_name(h), number, figure(fold.auc_up), figure(fold.auc_median), figure(fold.rank_ic))
            for h, b in judged.items()
            for number, fold in enumerate(b.folds, start=1)
        ],
    )


SECTION = Section(
    name="evidence",
    order=70,
    title="Evidence on test sessions",
    assemble=_assemble,
    top_level=True,
    html=_html,
    markdown=_markdown,
)
