"""What a person reads on the terminal once a run has ended: plain text, at most 100 columns."""

import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.documents.report import Report, StageTiming
from foundry_tasks.contract.errors import MissingInputError
from foundry_tasks.contract.ports import Store
from foundry_tasks.contract.results import StageResult, read_run_log
from foundry_tasks.report import portfolio_tables, wording
from foundry_tasks.report.wording import percent

WIDTH = 100
TOP = 5
_COLOURS = {"passed": "32", "warned": "33", "near miss": "33", "challenger": "33", "failed": "31", "refused": "31"}


def render(store: Store, dag: str, run_id: str | None) -> str:
    """The summary of a run; `run_id` None means the newest run that has a report.

    Raises MissingInputError where there is no such report. Coloured only where stdout is a terminal.
    """
    result, document = _report(store, dag, run_id)
    return summarise(document, result, colour=sys.stdout.isatty())


def page_of(store: Store, dag: str, run_id: str | None) -> str:
    """Where the page of the report lies; which report, and what is raised, as `render` has it."""
    page: str = _report(store, dag, run_id)[1].links.pages[artifacts.REPORT_PAGE]
    return page


def _report(store: Store, dag: str, run_id: str | None) -> tuple[StageResult, Report]:
    result = _report_of(store, dag, run_id)
    return result, Report.model_validate_json(store.object_path(result.outputs[Report.artifact].sha256).read_bytes())


def summarise(document: Report, report: StageResult, *, colour: bool = False) -> str:
    """The text for one report; `report` is the report stage's own result, which the document cannot hold."""
    blocks = (
        _head(document), _portfolio(document), _gates(document, colour), _predictions(document), _live(document),
        _coverage(document), _seconds(document, report), _versions(document), _next(document),
    )  # fmt: skip
    return "\n".join(line.rstrip() for block in blocks for line in block) + "\n"


def _report_of(store: Store, dag: str, run_id: str | None) -> StageResult:
    if run_id is not None:
        found = store.read(artifacts.result_key(dag, run_id, "report", None))
    else:
        ending = f"/report/{artifacts.NO_SHARD}/result.json"
        keys = [key for key in store.keys(f"runs/{dag}/") if key.endswith(ending)]
        newest = max(keys, key=lambda key: _made_at(store, key.removesuffix(ending)), default=None)
        found = store.read(newest) if newest else None
    if found is None:
        which = f"run {run_id!r}" if run_id is not None else "no run"
        raise MissingInputError(
            f"{which} of {dag} has {'no' if run_id is not None else 'a'} report in {store.uri}. Make one: foundry run "
            f"{dag.removeprefix('foundry_')}."
        )
    return StageResult.model_validate_json(found)


def _made_at(store: Store, run_prefix: str) -> str:
    """When the run's report was last made, from its run log; "" where the log does not say."""
    return max((line.timestamp for line in read_run_log(store, run_prefix) if line.stage == "report"), default="")


def _head(document: Report) -> Iterator[str]:
    run, status = document.run, document.status
    yield ""
    yield from _wrapped(status.headline)
    yield from _wrapped(status.consequence)
    yield ""
    yield f"market {run.market}, as of {run.as_of}, DAG {run.dag}"
    yield f"run {run.run_id}"


def _portfolio(document: Report) -> Iterator[str]:
    portfolio = document.portfolio
    if portfolio is None:
        return
    yield ""
    for item in portfolio.horizons.values():
        yield from _wrapped(item.summary)
    if portfolio.replay:
        yield from _wrapped(portfolio.replay.text)
    header = ("", "net a year", "Sharpe", "drawdown", "turnover", "costs bp", "trades", "benchmark", "hold")
    yield ""
    yield "  " + f"{header[0]:<8}" + "".join(f"{name:>11}" for name in header[1:])
    for horizon, item in portfolio.horizons.items():
        own = item.figures
        cells = (
            wording.figure(own.annualised_return, wording.signed_percent),
            wording.figure(own.sharpe, wording.ratio),
            wording.figure(own.max_drawdown, percent),
            wording.figure(own.mean_turnover, percent),
            wording.figure(item.costs_bp.total, wording.bp),
            str(item.trades),
            wording.figure(item.benchmark.annualised_return, wording.signed_percent),
            wording.figure(item.buy_and_hold.annualised_return, wording.signed_percent),
        )
        yield f"  {wording.horizon_name(horizon):<8}" + "".join(f"{cell:>11}" for cell in cells)
    yield from _wrapped(portfolio_tables.rules(portfolio.rules), "  ")


def _gates(document: Report, colour: bool) -> Iterator[str]:
    widths = (12, 10, 20, 38)
    for item in document.status.horizons:
        verdict, gates = item.verdict, document.gates[item.horizon]
        yield ""
        yield f"{item.name}: {_painted(verdict, verdict, colour)}"
        yield from _row(("gate", f"{'value':>{widths[1]}}", "interval", "threshold"), widths, "verdict")
        for gate in gates:
            value, bounds = wording.gate_value(gate), wording.gate_interval(gate) or "–"
            cells = (gate.name, f"{value:>{widths[1]}}", bounds, gate.threshold)
            yield from _row(cells, widths, _painted(gate.verdict, gate.verdict, colour))


def _row(cells: Sequence[str], widths: Sequence[int], last: str) -> Iterator[str]:
    """A line of a table; a cell that is wider than its column goes on below, at a blank."""
    wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    for number, parts in enumerate(zip_longest(*wrapped, fillvalue="")):
        line = "  ".join(f"{part:<{width}}" for part, width in zip(parts, widths, strict=True))
        yield f"  {line}  {'' if number else last}"


def _predictions(document: Report) -> Iterator[str]:
    predictions = document.predictions
    if predictions is None and document.portfolio is not None:
        return
    yield ""
    if predictions is None:
        yield "no predictions in this run"
        return
    horizons = predictions.horizons
    yield f"Top {min(TOP, len(predictions.top))} of {predictions.tickers} predictions, P(up) after {predictions.as_of}"
    shown = predictions.top[:TOP]
    width = max(len("ticker"), *(len(entry.ticker) for entry in shown), 6)
    yield (
        f"  {'ticker':<{width}}  "
        + "".join(f"{wording.horizon_name(h):>10}" for h in horizons)
        + f"{'mean':>10}  position"
    )
    for entry in shown:
        values = [*(entry.at(h).p_up for h in horizons), entry.mean_p_up]
        columns = "".join(f"{wording.figure(value, percent):>10}" for value in values)
        yield f"  {entry.ticker:<{width}}  {columns}  {wording.position(entry, horizons)}"
    for h, predictor in predictions.per_horizon.items():
        why = f": {predictor.why}" if predictor.why else ""
        yield from _wrapped(
            f"{wording.horizon_name(h)}: {predictor.model} version {predictor.version}, {predictor.kind}{why}", "  "
        )


def _live(document: Report) -> Iterator[str]:
    live = document.live
    if live is None:
        return
    yield ""
    yield "Live, predictions whose labels have matured"
    for h, item in live.horizons.items():
        auc, text = item.live.auc, wording.live_history(item.live)
        if item.live.sessions:
            bounds = wording.interval(auc.lower, auc.upper) or "(too few sessions for an interval)"
            text = f"AUC {wording.figure(auc.value)} {bounds}, {text}"
        yield from _wrapped(f"{wording.horizon_name(h)}: {text}", "  ")
        yield from _wrapped(wording.drift_line(item.drift, live.asked), "    ")


def _coverage(document: Report) -> Iterator[str]:
    predictions, prices = document.predictions, document.data.prices
    shares = {
        "prices": prices.coverage if prices else None,
        "predictions": predictions.coverage if predictions else None,
    }
    written = [f"{name} {percent(share)}" for name, share in shares.items() if isinstance(share, int | float)]
    yield ""
    yield f"Coverage of the universe: {', '.join(written) or wording.UNDEFINED}"
    for line in wording.absences(document.absent):
        yield from _wrapped(f"absent: {line}", "  ")


def _seconds(document: Report, report: StageResult) -> Iterator[str]:
    rows = [(_name(stage), stage.start_s, stage.total_s, stage.reused_from) for stage in document.stages]
    rows.append(("report", report.start_s, report.total_s, None))
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows), None))
    yield ""
    width = max(len(row[0]) for row in rows)
    yield f"  {'stage':<{width}} {'start-up s':>10} {'work s':>10} {'total s':>10}"
    for name, start, total, reused in rows:
        note = "  reused" if reused else ""
        yield f"  {name:<{width}} {start:>10.2f} {max(total - start, 0.0):>10.2f} {total:>10.2f}{note}"


def _name(stage: StageTiming) -> str:
    return " ".join(part for part in (stage.stage, stage.shard) if part)


def _versions(document: Report) -> Iterator[str]:
    versions = document.links.versions
    if versions:
        yield ""
        yield "Registered"
    for version in versions:
        yield f"  {version.model} version {version.version}, {version.event}"
        yield from ([f"    {version.url}"] if version.url else [])


def _next(document: Report) -> Iterator[str]:
    """What to do now; paths stand on lines of their own and are never cut, since people copy them."""
    links = document.links
    yield ""
    yield "What to do next"
    yield "  read the report: `make report` opens it"
    yield f"    {_here(links.pages[artifacts.REPORT_PAGE])}"
    if links.trades:
        yield "  look at the trades"
        yield from (f"    {_here(where)}" for where in links.trades.values())
    for version in links.versions:
        if version.event == "challenger":
            yield "  promote the near miss, if you can say why"
            yield f"    .venv/bin/foundry approve {version.model} {version.version} --why '…'"
    yield "  change the market: `make demo PRICES=prices.parquet`; more in README.md, Use your own prices"
    yield "  read more: docs/README.md"


def _here(place: str) -> str:
    """A path below this folder without it."""
    return place.removeprefix(f"{Path.cwd()}/")


# ------------------------------------------------------------------ text
def _painted(text: str, verdict: str, colour: bool) -> str:
    code = _COLOURS.get(verdict)
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text


def _wrapped(text: str, indent: str = "") -> Iterator[str]:
    line = indent
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH and line.strip():
            yield line
            line = indent + "  "
        line += word if not line.strip() else f" {word}"
    yield line
