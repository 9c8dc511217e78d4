"""The data of the run: prices and features, warnings, the leakage audit, coverage, and stages that published nothing."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents import Leakage, Report
from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.documents.prices import ExcludedBars, LargeMove
from foundry_tasks.contract.documents.report import AbsentStage, Data, FeaturesInUse, StageWarning
from foundry_tasks.report import wording
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.terminal_style import Terminal, wrapped
from foundry_tasks.report.wording import percent

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs

LARGE_MOVES_SHOWN = 20
"""Number of large moves listed for each verdict."""
_WHY_ABSENT = {
    "foundry_daily": "the daily run predicts with the champion and judges no model",
}


# ------------------------------------------------------------------ report.json
class Keys(Part):
    """The section's keys of report.json."""

    data: Data
    leakage: Leakage | None
    warnings: tuple[StageWarning, ...]
    absent: tuple[AbsentStage, ...]


def _assemble(inputs: "ReportInputs") -> Keys:
    documents = inputs.documents
    found = documents.features
    features = (
        FeaturesInUse(feature_set=found.feature_set, count=len(found.names), left_out=found.left_out) if found else None
    )
    return Keys(
        data=Data(prices=documents.prices, features=features),
        leakage=documents.leakage,
        warnings=_warnings(inputs),
        absent=_absent(inputs),
    )


def _warnings(inputs: "ReportInputs") -> tuple[StageWarning, ...]:
    """The stages' warnings, and a warning if results of the run come from several versions of the code."""
    warnings = [
        StageWarning(stage=wording.stage_label(result), text=text.removeprefix(f"{result.stage}: "))
        for result in inputs.results
        for text in result.warnings
    ]
    versions = {result.code_version for result in inputs.results}
    if len(versions) > 1:
        text = f"{len(versions)} versions of the code made this run; repeat it before you draw a conclusion"
        warnings.append(StageWarning(stage="report", text=text))
    return tuple(warnings)


def _absent(inputs: "ReportInputs") -> tuple[AbsentStage, ...]:
    """Stages that published nothing, with the reason from the run log or, without one, a general reason."""
    there = {result.stage for result in inputs.results}
    reasons = {line.stage: " ".join(line.warnings) for line in inputs.run_log if line.warnings}
    gates = inputs.documents.gates
    stopped = gates is not None and gates.validate_only
    unknown = (
        "validation only: the run stops after the gates" if stopped else "skipped, or the run did not get that far"
    )
    absent = [
        AbsentStage(stage=stage, why=reasons.get(stage, unknown).rstrip("."))
        for stage in inputs.upstream
        if stage not in there
    ]
    if "gates" not in inputs.upstream:
        absent.append(AbsentStage(stage="gates", why=_WHY_ABSENT.get(inputs.dag, "not part of this DAG")))
    return tuple(absent)


# ------------------------------------------------------------------ shown
def _html(document: Report) -> Values:
    prices, features = document.data.prices, document.data.features
    return {
        "data_facts": wording.data_facts(prices) if prices else (),
        "left_out": wording.by_reason(features.left_out) if features else {},
        "excluded": _excluded_lines(prices.excluded) if prices else {},
        "large_moves": large_move_lines(prices.large_moves) if prices else {},
    }


def _markdown(document: Report) -> Iterator[str]:
    prices, features, leakage = document.data.prices, document.data.features, document.leakage
    if prices:
        yield (
            f"{prices.tickers} tickers over {prices.sessions} sessions, {prices.first_session} to {prices.last_session}."
        )
        yield ""
        for name, value in wording.data_facts(prices):
            yield f"- {name}: {value}"
        for reason, tickers in _excluded_lines(prices.excluded).items():
            yield f"- excluded, {reason}: {', '.join(tickers)}"
        for verdict, moves in large_move_lines(prices.large_moves).items():
            yield f"- large moves, {verdict}: {', '.join(moves)}"
    if features:
        yield f"- features: {features.count}, set {features.feature_set}"
        for reason, names in wording.by_reason(features.left_out).items():
            yield f"- features left out, {reason}: {', '.join(names)}"
    if leakage:
        yield f"- leakage audit: {'; '.join(leakage.leaks) or 'clean'}"
        for check in leakage.checked:
            yield f"  - {check}"
        for gap in leakage.not_audited:
            yield f"  - not audited: {gap}"
    for item in document.warnings:
        yield f"- warning, {item.stage}: {item.text}"
    yield ""


def _terminal(document: Report, _terminal: Terminal) -> Iterator[str]:
    predictions, prices = document.predictions, document.data.prices
    shares = {
        "prices": prices.coverage if prices else None,
        "predictions": predictions.coverage if predictions else None,
    }
    written = [f"{name} {percent(share)}" for name, share in shares.items() if isinstance(share, int | float)]
    yield f"Coverage of the universe: {', '.join(written) or wording.UNDEFINED}"
    for line in wording.absences(document.absent):
        yield from wrapped(f"absent: {line}", "  ")


def _excluded_lines(entries: Sequence[ExcludedBars]) -> dict[str, list[str]]:
    """Reason → tickers with their bars and dates."""
    reasons: dict[str, list[str]] = {}
    for entry in entries:
        when = f"{entry.first}" if entry.first == entry.last else f"{entry.first} to {entry.last}"
        bars = "1 bar" if entry.bars == 1 else f"{entry.bars} bars"
        reasons.setdefault(entry.reason, []).append(f"{entry.ticker} ({bars}, {when})")
    return reasons


def large_move_lines(moves: Sequence[LargeMove]) -> dict[str, list[str]]:
    """Verdict → ticker, date, move and ratio of its largest moves, and the number of other moves."""
    verdicts: dict[str, list[str]] = {}
    for one in sorted(moves, key=lambda one: -abs(math.log1p(one.move))):
        ratio = f" ({one.ratio})" if one.ratio else ""
        line = f"{one.ticker} {one.date} {wording.signed_percent(one.move)}{ratio}"
        verdicts.setdefault(one.verdict, []).append(line)
    return {
        verdict: lines[:LARGE_MOVES_SHOWN]
        + ([f"and {len(lines) - LARGE_MOVES_SHOWN:,} more"] if len(lines) > LARGE_MOVES_SHOWN else [])
        for verdict, lines in verdicts.items()
    }


SECTION = Section(
    name="data",
    order=90,
    title="Data",
    assemble=_assemble,
    top_level=True,
    html=_html,
    markdown=_markdown,
    terminal=_terminal,
)
