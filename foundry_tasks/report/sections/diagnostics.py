"""Diagnostics of the gates, as tables of text: one row per figure, one cell per horizon.

The page and the Markdown have the same tables. The figures come from `evidence` in report.json.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from foundry_tasks.contract.documents import Interval, Report, TrialFigures
from foundry_tasks.contract.documents.gates import Efficiencies, Efficiency, ExpectedFigure, FiellerBounds, Information
from foundry_tasks.contract.documents.report_gates import JudgedDiagnostics
from foundry_tasks.report.markdown_table import table
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.wording import (
    UNDEFINED,
    figure,
    horizon_name,
    interval,
    listed,
    percent,
    plain,
    ratio,
    signed_percent,
    whole_percent,
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with its interval or note."""

    value: str
    note: str = ""

    def __str__(self) -> str:
        if not self.note:
            return self.value
        return f"{self.value} {self.note}" if self.note.startswith("[") else f"{self.value} ({self.note})"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. about: its meaning or formula. cells: horizon → cell."""

    label: str
    about: str
    cells: Mapping[int, Cell]


_FIGURES: Sequence[tuple[str, str, Callable[[JudgedDiagnostics], Cell]]] = (
    ("AUC against the median", "direction relative to the session's median", lambda b: _bounded(b.auc_median, plain)),
    ("Rank IC", "rank correlation with what followed", lambda b: _bounded(b.rank_ic, plain)),
    ("ICIR", "mean over deviation of the rank IC, a session", lambda b: _information(b.information)),
    ("Log loss", "nats; 0.6931 for P(up) = ½", lambda b: _bounded(b.log_loss, plain)),
    ("Expected calibration error", "mean distance of P(up) and share up, in ten equal groups",
     lambda b: _bounded(b.calibration_error, plain) if b.calibration_error else Cell("–")),
    ("Brier skill", "reduction of the base rate's Brier score", lambda b: _of(b.brier_skill, signed_percent)),
    ("WFE, relative to the median", "the gate's figure, with Fieller's set", lambda b: _efficiency(b.efficiency.relative)),
    ("WFE, beyond the base rate", "accuracy less that of the base rate", lambda b: _efficiency(b.efficiency.over_base_rate)),
    ("WFE, rank IC", "share of the rank IC that the test keeps", lambda b: _efficiency(b.efficiency.rank_ic)),
    ("Folds with an edge", "relative to the median; one good fold can be luck", lambda b: _consistency(b.efficiency)),
    ("Overfitting ratio", "share of the validation accuracy that the test loses",
     lambda b: _of(b.overfitting_ratio, signed_percent)),
    ("Deflated Sharpe ratio", "probability that it exceeds the expected best of all trials without skill",
     lambda b: _deflated(b.trials)),
    ("Probability of overfitting", "share of splits whose best trial ranks in the lower half on the other sessions",
     lambda b: _overfitting(b.trials)),
)  # fmt: skip

_EXPECTED: Mapping[str, Callable[[float], str]] = {
    "independent tickers": "{:.0f}".format,
    "spread of return forecasts": lambda value: f"{100 * value:.3f} %",
    "spread of P(up)": plain,
    "share of P(up) above ½": percent,
    "mean AUC per session": plain,
    "standard deviation of the mean AUC": plain,
    "WFE relative to the median": whole_percent,
}
"""Name in `expected_against_observed` → number format; the default is four decimals."""


def diagnostic_rows(document: Report) -> list[Row]:
    """All diagnostics; empty if no gates were evaluated."""
    judged = _judged(document)
    return [
        Row(label, about, {horizon: cell(diagnostics) for horizon, diagnostics in judged.items()})
        for label, about, cell in _FIGURES
        if judged
    ]


def expected_against_observed(document: Report) -> list[Row]:
    """Observed figures. The note of each is the expected value of a well-calibrated model with that IC."""
    rows: dict[str, Row] = {}
    for horizon, diagnostics in _judged(document).items():
        for found in diagnostics.expected:
            name = found.name
            row = rows.setdefault(name, Row(_label(name), found.formula, {}))
            rows[name] = replace(row, cells={**row.cells, horizon: _expected(found)})
    return list(rows.values())


def _label(name: str) -> str:
    """A figure's name with a capital letter; "spread" in gates.json is shown as "dispersion"."""
    name = name.replace("spread", "dispersion")
    return f"{name[0].upper()}{name[1:]}"


def _judged(document: Report) -> dict[int, JudgedDiagnostics]:
    return {horizon: item.diagnostics for horizon, item in document.evidence.items() if item.diagnostics}


def _expected(found: ExpectedFigure) -> Cell:
    write = _EXPECTED.get(found.name, plain)
    bounds = interval(found.lower, found.upper, write)
    observed = "not forecast" if found.name == "spread of return forecasts" else figure(found.observed, write)
    return Cell(observed, f"expected {figure(found.expected, write)} {bounds}".rstrip())


def _of(value: float | None, write: Callable[[float], str]) -> Cell:
    return Cell(figure(value, write))


def _bounded(found: Interval, write: Callable[[float], str]) -> Cell:
    return Cell(figure(found.value, write), interval(found.lower, found.upper, write))


def _information(found: Information) -> Cell:
    return Cell(figure(found.icir, ratio), f"t {figure(found.t, ratio)}, Newey–West over {found.lag} sessions")


def _efficiency(found: Efficiency) -> Cell:
    if found.value is None:
        return Cell(UNDEFINED, "no edge in validation")
    return Cell(whole_percent(found.value), _ratios(found.fieller))


def _ratios(fieller: FiellerBounds) -> str:
    """A Fieller set in words; it may be unbounded."""
    if fieller.kind == "every":
        return "any ratio: both edges may be zero"
    if fieller.lower is None or fieller.upper is None:
        return UNDEFINED
    lower, upper = whole_percent(fieller.lower), whole_percent(fieller.upper)
    if fieller.kind == "between":
        return f"[{lower}, {upper}]"
    return f"below {lower} or above {upper}: the validation edge may be zero"


def _consistency(found: Efficiencies) -> Cell:
    relative, over_base_rate, rank_ic = (
        figure(one.consistency, whole_percent) for one in (found.relative, found.over_base_rate, found.rank_ic)
    )
    return Cell(relative, f"{over_base_rate} beyond the base rate, {rank_ic} by rank IC")


def _deflated(trials: TrialFigures) -> Cell:
    counts = (("trial", trials.raw), ("cluster", trials.clustered))
    parts = [f"{figure(found.deflated, ratio)} by {_counted(found.n_trials, noun)}" for noun, found in counts]
    apart = f"; {trials.unaligned} of the trials on other sessions" if trials.unaligned else ""
    sharpe = f"Sharpe {figure(trials.sharpe, plain)} a session after costs"
    return Cell(figure(trials.deflated, ratio), f"{sharpe}; {listed(parts)}{apart}")


def _overfitting(trials: TrialFigures) -> Cell:
    if trials.overfitting is None:
        return Cell(UNDEFINED, trials.undefined)
    return Cell(percent(trials.overfitting), f"{trials.aligned} trials, {trials.shared_sessions} sessions")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# ------------------------------------------------------------------ shown
def _html(document: Report) -> Values | None:
    rows = diagnostic_rows(document)
    return {"diagnostic_rows": rows, "expected_rows": expected_against_observed(document)} if rows else None


def _markdown(document: Report) -> Iterator[str]:
    for title, rows in (
        ("Diagnostics: they inform and refuse nothing", diagnostic_rows(document)),
        ("Expected against observed", expected_against_observed(document)),
    ):
        if rows:
            yield f"## {title}"
            yield ""
            header = ("figure", "about", *(horizon_name(horizon) for horizon in rows[0].cells))
            yield from table(header, [(row.label, row.about, *map(str, row.cells.values())) for row in rows])


SECTION = Section(name="diagnostics", order=40, top_level=True, html=_html, markdown=_markdown)
