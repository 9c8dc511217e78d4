"""Predictions: the tickers with the highest and the lowest mean P(up), and the versions that predict."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents import Report
from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.documents.report import HorizonPrediction, PredictionsSection, TickerPrediction
from foundry_tasks.report import interval_bars
from foundry_tasks.report.markdown_table import table
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.terminal_style import Terminal, wrapped
from foundry_tasks.report.wording import figure, horizon_name, percent, signed_percent

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs

SHOWN_ON_TERMINAL = 5


# ------------------------------------------------------------------ report.json
class Keys(Part):
    """The section's keys of report.json."""

    predictions: PredictionsSection | None


def _assemble(inputs: "ReportInputs") -> Keys:
    return Keys(predictions=_predictions(inputs))


def _predictions(inputs: "ReportInputs") -> PredictionsSection | None:
    columns, about = inputs.predictions, inputs.documents.predictions
    if columns is None or not len(columns["ticker"]):
        return None
    days = columns["date"].astype("datetime64[D]")
    newest = days.max()
    means: dict[str, float | None] = {}
    horizons: dict[str, dict[int, HorizonPrediction]] = {}
    for row in (days == newest).nonzero()[0]:
        ticker = str(columns["ticker"][row])
        means.setdefault(ticker, _number(columns["mean_p_up"][row]))
        figures = {key: _number(columns[key][row]) for key in HorizonPrediction.model_fields if key in columns}
        horizons.setdefault(ticker, {})[int(columns["horizon"][row])] = HorizonPrediction(**figures)
    entries = [
        TickerPrediction(ticker=ticker, mean_p_up=mean, horizons=horizons[ticker])
        for ticker, mean in means.items()
        if mean is not None
    ]
    ranked = sorted(entries, key=lambda entry: (-entry.mean_p_up, entry.ticker))
    shown = min(inputs.top, max(len(ranked) // 2, 1))
    return PredictionsSection(
        as_of=str(newest),
        tickers=len(ranked),
        horizons=tuple(sorted({horizon for entry in ranked for horizon in entry.horizons})),
        top=tuple(ranked[:shown]),
        bottom=tuple(ranked[shown:][-shown:][::-1]),
        coverage=about.coverage if about else None,
        per_horizon=about.per_horizon if about else {},
    )


def _number(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


# ------------------------------------------------------------------ shown
def _html(document: Report) -> Values | None:
    predictions = document.predictions
    if predictions is None:
        return None
    shown = predictions.top + predictions.bottom
    p_ups = [item.p_up for entry in shown for item in entry.horizons.values()]
    return {
        "bars": interval_bars,
        "position": position,
        "note": note(predictions),
        "prediction_reach": interval_bars.reach_of(p_ups),
    }


def _markdown(document: Report) -> Iterator[str]:
    predictions = document.predictions
    if predictions is None:
        return
    yield f"## Predictions for the sessions after {predictions.as_of}"
    yield ""
    for horizon, predictor in predictions.per_horizon.items():
        why = f" ({predictor.why})" if predictor.why else ""
        yield f"- {horizon_name(horizon)}: {predictor.model} version {predictor.version}, {predictor.kind}{why}"
    coverage = "" if predictions.coverage is None else f", {percent(predictions.coverage)} of the universe"
    yield f"- {predictions.tickers} tickers{coverage}"
    if without := note(predictions):
        yield f"- {without}"
    yield ""
    horizons = predictions.horizons
    for title, entries in (("Highest", predictions.top), ("Lowest", predictions.bottom)):
        if entries:
            rows = [
                (entry.ticker, figure(entry.mean_p_up, percent), *(figure(entry.at(h).p_up, percent) for h in horizons),
                 position(entry, horizons))
                for entry in entries
            ]  # fmt: skip
            yield from table((f"{title} P(up)", "mean", *(horizon_name(h) for h in horizons), "position"), rows)


def _terminal(document: Report, _terminal: Terminal) -> Iterator[str]:
    predictions = document.predictions
    if predictions is None:
        if document.portfolio is None:
            yield "no predictions in this run"
        return
    horizons, shown = predictions.horizons, predictions.top[:SHOWN_ON_TERMINAL]
    yield f"Top {len(shown)} of {predictions.tickers} predictions, P(up) after {predictions.as_of}"
    width = max(len("ticker"), *(len(entry.ticker) for entry in shown), 6)
    yield f"  {'ticker':<{width}}  " + "".join(f"{horizon_name(h):>10}" for h in horizons) + f"{'mean':>10}  position"
    for entry in shown:
        values = [*(entry.at(h).p_up for h in horizons), entry.mean_p_up]
        columns = "".join(f"{figure(value, percent):>10}" for value in values)
        yield f"  {entry.ticker:<{width}}  {columns}  {position(entry, horizons)}"
    if without := note(predictions):
        yield f"  {without}"
    for h, predictor in predictions.per_horizon.items():
        why = f": {predictor.why}" if predictor.why else ""
        yield from wrapped(
            f"{horizon_name(h)}: {predictor.model} version {predictor.version}, {predictor.kind}{why}", "  "
        )


def position(entry: TickerPrediction, horizons: Sequence[int]) -> str:
    """A prediction's position sizes: one if all horizons have the same, else one per horizon."""
    sizes = [entry.at(horizon).position for horizon in horizons]
    written = ["–" if size is None else signed_percent(size) for size in sizes]
    return written[0] if len(set(written)) == 1 else " · ".join(text.removesuffix(" %") for text in written) + " %"


def note(predictions: PredictionsSection) -> str:
    """The sentence that no ticker has a position, if no horizon has a champion; else empty."""
    shown = (*predictions.top, *predictions.bottom)
    sized = any(entry.at(horizon).position is not None for entry in shown for horizon in predictions.horizons)
    promoted = any(predictor.kind == "champion" for predictor in predictions.per_horizon.values())
    return "" if sized or promoted else "no position: no champion"


SECTION = Section(
    name="predictions",
    order=50,
    assemble=_assemble,
    top_level=True,
    html=_html,
    markdown=_markdown,
    terminal=_terminal,
)
