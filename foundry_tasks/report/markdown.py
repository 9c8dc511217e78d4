"""The report as Markdown: the same document, for a terminal, a pull request or a chat."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from foundry_tasks.contract.documents import Interval, Report
from foundry_tasks.report import diagnostics_tables, portfolio_tables, wording
from foundry_tasks.report.wording import figure, horizon_name, percent


def write_markdown(document: Report) -> str:
    """`report.md`."""
    blocks = (
        _head(document), _portfolio(document), _gates(document), _diagnostics(document), _predictions(document), _live(document),
        _evidence(document), _models(document), _data(document), _run(document),
    )  # fmt: skip
    return "\n".join(line for block in blocks for line in block).rstrip() + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


def _head(document: Report) -> Iterator[str]:
    run, status = document.run, document.status
    yield f"# Foundry: {run.market}, as of {run.as_of}"
    yield ""
    yield f"**{status.headline}** {status.consequence}"
    yield ""
    if portfolio := document.portfolio:
        yield from (f"- {item.said}" for item in portfolio.horizons.values())
        if portfolio.replay:
            yield f"- {portfolio.replay.text}"
            yield ""
    yield f"Run `{run.run_id}` of `{run.dag}`, made at {run.made_at}."
    yield ""
    for judged in status.horizons:
        reasons = "; ".join(judged.reasons) or judged.words
        yield f"- {wording.VERDICT_SIGNS[judged.verdict]} **{judged.name}: {judged.verdict}**. {reasons}"
    if status.horizons:
        yield ""


def _portfolio(document: Report) -> Iterator[str]:
    portfolio = document.portfolio
    if portfolio is None:
        return
    yield "## What it would have earned"
    yield ""
    yield portfolio_tables.rules(portfolio.rules)
    yield ""
    for horizon, item in portfolio.horizons.items():
        yield f"### {horizon_name(horizon)}, {item.sessions} sessions from {item.first} to {item.last}"
        yield ""
        yield from _table(portfolio_tables.MARKET_HEADER, portfolio_tables.against_the_market(item))
        yield from (f"- {name}: {value}" for name, value in portfolio_tables.figures(item))
        yield f"- trades: {item.trades}, in {item.trades_page}"
        yield ""
        plain = portfolio_tables.plain
        yield from _table(portfolio_tables.ladder_header(item.ladder), plain(portfolio_tables.ladder(item.ladder)))
        yield from _table(portfolio_tables.FOLD_HEADER, plain(portfolio_tables.folds(item.folds)))
        yield from _table(["%", *map(str, item.monthly.years)], plain(portfolio_tables.months(item.monthly)))


def _gates(document: Report) -> Iterator[str]:
    if document.policy:
        yield f"## Gates, with {document.policy.confidence:.0%} intervals"
        yield ""
    for horizon, gates in document.gates.items():
        yield f"### {horizon_name(horizon)}: {document.status.verdicts[horizon]}"
        yield ""
        yield from _table(
            ("gate", "value", "interval", "threshold", "verdict", "note"),
            [
                (
                    wording.gate_style(gate.name).label, wording.gate_value(gate), wording.gate_interval(gate) or "–",
                    gate.threshold, f"{wording.VERDICT_SIGNS[gate.verdict]} {gate.verdict}", gate.note,
                )
                for gate in gates
            ],
        )  # fmt: skip


def _diagnostics(document: Report) -> Iterator[str]:
    for title, rows in (
        ("Beside the gates: what informs and refuses nothing", diagnostics_tables.diagnostic_rows(document)),
        ("Observed, and what an honest model of this IC shows", diagnostics_tables.expected_against_observed(document)),
    ):
        if rows:
            yield f"## {title}"
            yield ""
            header = ("figure", "about", *(horizon_name(horizon) for horizon in rows[0].cells))
            yield from _table(header, [(row.label, row.about, *row.cells.values()) for row in rows])


def _predictions(document: Report) -> Iterator[str]:
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
    yield ""
    horizons = predictions.horizons
    for title, entries in (("Highest", predictions.top), ("Lowest", predictions.bottom)):
        if entries:
            rows = [
                (entry.ticker, figure(entry.mean_p_up, percent), *(figure(entry.at(h).p_up, percent) for h in horizons),
                 wording.position(entry, horizons))
                for entry in entries
            ]  # fmt: skip
            yield from _table((f"{title} P(up)", "mean", *(horizon_name(h) for h in horizons), "position"), rows)


def _around(found: Interval, write: Callable[[float], str] = wording.plain) -> str:
    return f"{figure(found.value, write)} {wording.interval(found.lower, found.upper, write)}".rstrip()


def _live(document: Report) -> Iterator[str]:
    live = document.live
    if live is None:
        return
    yield "## Live: predictions whose labels have matured"
    yield ""
    yield from _table(
        ("horizon", "sessions", "AUC per session", "hit rate", "base rate", "Brier", "Brier of the base rate"),
        [
            (horizon_name(h), item.live.sessions, _around(item.live.auc), _around(item.live.hit_rate, percent),
             figure(item.live.base_rate, percent), _around(item.live.brier, wording.fine),
             _around(item.live.brier_base_rate, wording.fine))
            for h, item in live.horizons.items()
        ],
    )  # fmt: skip
    for h, item in live.horizons.items():
        yield f"- {horizon_name(h)}: {wording.live_history(item.live)}"
        yield f"- {horizon_name(h)}, drift: {wording.drift_line(item.drift, live.asked)}"
    yield ""
    yield from _table(
        ("horizon", "feature", "PSI", "95 % of earlier windows below"),
        [
            (horizon_name(h), row.feature, figure(row.psi), figure(row.usual))
            for h, item in live.horizons.items()
            for row in item.drift.features
        ],
    )


def _bounded(item: Interval, write: Callable[[float], str] = wording.plain) -> str:
    return f"{figure(item.value, write)} {wording.interval(item.lower, item.upper, write)}".rstrip()


def _evidence(document: Report) -> Iterator[str]:
    judged = {h: item.diagnostics for h, item in document.evidence.items() if item.diagnostics}
    if not judged:
        return

    yield "## Evidence on sessions never seen"
    yield ""
    yield from _table(
        ("horizon", "AUC against the median", "rank IC", "hit rate", "base rate", "Brier", "Brier of the base rate"),
        [
            (horizon_name(h), _bounded(b.auc_median), _bounded(b.rank_ic), _bounded(b.hit_rate_up), figure(b.base_rate),
             _bounded(b.brier, wording.fine), _bounded(b.brier_base_rate, wording.fine))
            for h, b in judged.items()
        ],
    )  # fmt: skip
    yield from _table(
        ("horizon", "entry", "AUC against up/down", "rank IC"),
        [
            (horizon_name(h), wording.ENTRY_NAMES.get(entry, entry), _bounded(item.auc_up), _bounded(item.rank_ic))
            for h, b in judged.items()
            for entry, item in b.entries.items()
        ],
    )
    yield from _table(
        ("horizon", "fold", "AUC against up/down", "AUC against the median", "rank IC"),
        [
            (horizon_name(h), number, figure(fold.auc_up), figure(fold.auc_median), figure(fold.rank_ic))
            for h, b in judged.items()
            for number, fold in enumerate(b.folds, start=1)
        ],
    )


def _models(document: Report) -> Iterator[str]:
    if not document.models:
        return
    yield "## Models"
    yield ""
    yield from _table(
        ("horizon", "model", "AUC against up/down", "AUC against the median", "rank IC", "pooled AUC",
         "adds to the average"),
        [
            (horizon_name(h), wording.model_title(item.model), figure(item.auc_up), figure(item.auc_median),
             figure(item.rank_ic), figure(item.pooled_auc_up), wording.added(item.adds))
            for h, models in document.models.items()
            for item in models.comparison
        ],
    )  # fmt: skip
    for h, models in document.models.items():
        if models.stack_why:
            yield f"- {horizon_name(h)}, stack: {models.stack_why}"
        if models.importance:
            yield f"- {horizon_name(h)}, most important features: " + ", ".join(
                item.feature for item in models.importance
            )
    yield ""


def _data(document: Report) -> Iterator[str]:
    prices, features, leakage = document.data.prices, document.data.features, document.leakage
    yield "## Data"
    yield ""
    if prices:
        yield (
            f"{prices.tickers} tickers over {prices.sessions} sessions, {prices.first_session} to {prices.last_session}."
        )
        yield ""
        for name, value in wording.data_facts(prices):
            yield f"- {name}: {value}"
        for reason, tickers in wording.excluded_lines(prices.excluded).items():
            yield f"- set aside, {reason}: {', '.join(tickers)}"
        for verdict, moves in wording.large_move_lines(prices.large_moves).items():
            yield f"- large moves, {verdict}: {', '.join(moves)}"
    if features:
        yield f"- features: {features.count}, set {features.feature_set}"
        for reason, names in wording.by_reason(features.left_out).items():
            yield f"- features left out, {reason}: {', '.join(names)}"
    if leakage:
        yield f"- leakage audit: {'; '.join(leakage.leaks) or 'clean'}"
        for check in leakage.checked:
            yield f"  - {check}"
    for item in document.warnings:
        yield f"- warning, {item.stage}: {item.text}"
    yield ""


def _run(document: Report) -> Iterator[str]:
    yield "## Run"
    yield ""
    yield from _table(
        ("stage", "start-up s", "work s", "total s", "outputs", "seed"),
        [
            (
                where.stage + (f", reused from {stage.reused_from}" if stage.reused_from else ""),
                f"{stage.start_s:.2f}", f"{stage.work_s:.2f}", f"{stage.total_s:.2f}",
                f"`{where.outputs_digest[:12]}`", "–" if where.seed is None else where.seed,
            )
            for stage, where in zip(document.stages, document.provenance.stages, strict=True)
        ],
    )  # fmt: skip
    yield from (f"- absent, {line}" for line in wording.absences(document.absent))
    yield f"- code: {', '.join(document.provenance.code_versions) or 'unknown'}"
    if document.provenance.snapshot:
        yield f"- price snapshot: `{document.provenance.snapshot}`"
    for version in document.links.versions:
        yield f"- {version.model} version {version.version}: {version.event}, {version.url or version.uri}"
    for docs in document.links.data_docs:
        yield f"- Data Docs, {docs.suite}: {docs.location}"
    for name, where in {**document.links.pages, **document.links.trades}.items():
        yield f"- {name}: {where}"
