"""The run: seconds per stage, paths of its pages, registered versions, provenance, and next steps."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.documents import Promotion, Report
from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.documents.report import (
    DataDocs,
    Links,
    Provenance,
    RegisteredVersion,
    StageProvenance,
    StageTiming,
)
from foundry_tasks.contract.results import StageResult
from foundry_tasks.report import interval_bars, wording
from foundry_tasks.report.markdown_table import table
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.terminal_style import Terminal

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs


# ------------------------------------------------------------------ report.json
class Keys(Part):
    """The section's keys of report.json."""

    stages: tuple[StageTiming, ...]
    provenance: Provenance
    links: Links


def _assemble(inputs: "ReportInputs") -> Keys:
    return Keys(stages=tuple(map(_timing, inputs.results)), provenance=_provenance(inputs), links=_links(inputs))


def _timing(result: StageResult) -> StageTiming:
    return StageTiming(
        stage=result.stage,
        shard=result.shard,
        status=result.status,
        start_s=result.start_s,
        work_s=round(max(result.total_s - result.start_s, 0.0), 3),
        total_s=result.total_s,
        steps={name: seconds for name, seconds in result.elapsed_s.items() if name not in {"start", "total"}},
        reused_from=result.reused_from,
    )


def _provenance(inputs: "ReportInputs") -> Provenance:
    prices = inputs.documents.prices
    return Provenance(
        code_versions=tuple(sorted({result.code_version for result in inputs.results})),
        image_digests=tuple(sorted({result.image_digest for result in inputs.results if result.image_digest})),
        snapshot=prices.snapshot if prices else None,
        stages=tuple(
            StageProvenance(
                stage=wording.stage_label(result),
                outputs_digest=result.outputs_digest,
                config_digest=result.config_digest,
                seed=result.seed,
                config=result.config,
            )
            for result in inputs.results
        ),
    )


def _links(inputs: "ReportInputs") -> Links:
    docs = {name: where for name, where in inputs.pages.items() if name.endswith("index.html")}
    promotions = inputs.documents.promotion.horizons if inputs.documents.promotion else {}
    return Links(
        pages=inputs.locations,
        trades=inputs.trades,
        data_docs=tuple(
            DataDocs(suite=name.split("/")[-2], href=name, location=where) for name, where in sorted(docs.items())
        ),
        versions=tuple(_registered(horizon, item) for horizon, item in promotions.items()),
    )


def _registered(horizon: int, promotion: Promotion) -> RegisteredVersion:
    return RegisteredVersion(
        horizon=horizon,
        model=promotion.model,
        version=promotion.version,
        event=promotion.event,
        why=promotion.why,
        uri=promotion.uri,
        url=promotion.url,
        sha256=promotion.sha256,
    )


# ------------------------------------------------------------------ page and Markdown
def _html(document: Report) -> Values:
    stages = document.stages
    return {
        "bars": interval_bars,
        "absences": wording.absences(document.absent),
        "longest_stage": max((stage.total_s for stage in stages), default=0.0),
        "totals": {
            "start_s": sum(stage.start_s for stage in stages),
            "work_s": sum(stage.work_s for stage in stages),
            "total_s": sum(stage.total_s for stage in stages),
        },
    }


def _markdown(document: Report) -> Iterator[str]:
    yield from table(
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


# ------------------------------------------------------------------ terminal
def _terminal(document: Report, terminal: Terminal) -> Iterator[str]:
    yield from _seconds(document, terminal.report)
    yield from _versions(document)
    yield ""
    yield from _next(document)


def _seconds(document: Report, report: StageResult) -> Iterator[str]:
    rows = [(_name(stage), stage.start_s, stage.total_s, stage.reused_from) for stage in document.stages]
    rows.append(("report", report.start_s, report.total_s, None))
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows), None))
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
    """Next steps. Each path has a line of its own and is not cut, so that it can be copied."""
    links = document.links
    yield "What to do next"
    yield "  read the report: `make report` opens it"
    yield f"    {_here(links.pages[artifacts.REPORT_PAGE])}"
    if links.trades:
        yield "  look at the trades"
        yield from (f"    {_here(where)}" for where in links.trades.values())
    for version in links.versions:
        if version.event == "challenger":
            yield "  promote the challenger, with a reason"
            yield f"    .venv/bin/foundry approve {version.model} {version.version} --why '…'"
    yield "  change the market: `make demo PRICES=prices.parquet`; more in README.md, Use your own prices"
    yield "  read more: docs/README.md"


def _here(place: str) -> str:
    """A path relative to the working directory if it is below it."""
    return place.removeprefix(f"{Path.cwd()}/")


SECTION = Section(
    name="run",
    order=100,
    title="Run",
    assemble=_assemble,
    top_level=True,
    html=_html,
    markdown=_markdown,
    terminal=_terminal,
)
