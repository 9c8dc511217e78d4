"""report: the results of a run as an HTML page, as JSON and as Markdown, and its trades as CSV."""

from typing import cast

import numpy as np

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.config import LABEL_ENTRIES, ReportConfig
from foundry_tasks.contract.documents import (
    Comparison,
    Features,
    Fold,
    Folds,
    Gates,
    Importance,
    Leakage,
    Monitor,
    Portfolio,
    Predictions,
    Prices,
    Promotions,
    Refits,
    Simulation,
    TrialFigures,
)
from foundry_tasks.contract.documents.gates import GatesHeadline, RunLook
from foundry_tasks.contract.documents.report import Oversight
from foundry_tasks.contract.results import StageResult, read_run_log
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.contract.stages import PIPELINES, stage_config
from foundry_tasks.data.panel import AnyArray, FloatArray
from foundry_tasks.data.tables import read_matrices, read_table
from foundry_tasks.ledger.oversight import oversight_of
from foundry_tasks.report.document import assemble
from foundry_tasks.report.html import write_html
from foundry_tasks.report.markdown import write_markdown
from foundry_tasks.report.report_inputs import Documents, Forecasts, ReportInputs

PAGES = ("report.html", "report.json", "report.md")


def run(config: ReportConfig, io: StageIO) -> None:
    """All published results → report.html, report.json, report.md. A skipped stage is named in them and is no error.

    The portfolio's trades-{h}d.csv are copied to the pages here, since a stage whose result is reused writes no pages.
    """
    with io.step("read"):
        inputs = _report_inputs(config, io)
    with io.step("assemble"):
        document = assemble(inputs)
    with io.step("write"):
        contents = {
            artifacts.REPORT_PAGE: write_html(document).encode(),
            "report.json": document.model_dump_json().encode(),
            "report.md": write_markdown(document).encode(),
        }
        for name, content in contents.items():
            io.publish_file(name, content)
            io.outputs.show(name, content)
    status = document.status
    io.outputs.metrics |= {"status": status.headline, "page": inputs.locations[artifacts.REPORT_PAGE]}
    io.outputs.metrics |= {f"{horizon}d": verdict for horizon, verdict in status.verdicts.items()}


def _report_inputs(config: ReportConfig, io: StageIO) -> ReportInputs:
    results = [result for stage in io.inputs.upstream() for result in io.inputs.shards(stage)]
    gates = io.inputs.find_document(Gates)
    return ReportInputs(
        dag=io.identity.dag,
        run_id=io.identity.run_id,
        market=config.market,
        as_of=io.inputs.as_of if io.inputs.find("prices") else io.identity.as_of,
        made_at=io.environment.now().isoformat(timespec="seconds"),
        top=config.top,
        upstream=io.inputs.upstream(),
        results=results,
        documents=Documents(
            leakage=io.inputs.find_document(Leakage),
            portfolio=io.inputs.find_document(Portfolio),
            simulation=io.inputs.find_document(Simulation),
            prices=io.inputs.find_document(Prices),
            features=io.inputs.find_document(Features),
            importance=io.inputs.find_document(Importance),
            comparison=io.inputs.find_document(Comparison),
            predictions=io.inputs.find_document(Predictions),
            monitor=io.inputs.find_document(Monitor),
            gates=gates,
            refit=io.inputs.find_document(Refits),
            promotion=io.inputs.find_document(Promotions),
        ),
        trials=_trials(io, gates) if gates else {},
        oversight=_oversight(config, io, gates, results),
        forecasts=_forecasts(io),
        daily=_daily(io),
        predictions=_predictions(io),
        run_log=read_run_log(io.store, artifacts.run_prefix(io.identity.dag, io.identity.run_id)),
        pages=_data_docs(io, results),
        locations={
            page: io.store.locate(artifacts.page_key(io.identity.dag, io.identity.run_id, page)) for page in PAGES
        },
        trades=_show_trades(io),
    )


def _oversight(config: ReportConfig, io: StageIO, gates: Gates | None, results: list[StageResult]) -> Oversight:
    prices, code = io.inputs.find("prices"), io.environment.code
    of_prices = cast("ReportConfig", stage_config("report", prices.config)) if prices else config
    return oversight_of(
        io.store,
        of_prices.market,
        policy=gates.policy_digest if gates else "",
        look=RunLook.model_validate(io.inputs.result(gates.stage).metrics).look if gates else None,
        code_is_a_release=code.is_release and all(result.code_version == code.version for result in results),
    )


def _trials(io: StageIO, gates: Gates) -> dict[int, TrialFigures]:
    metrics = io.inputs.result(gates.stage).metrics
    return {horizon: GatesHeadline.model_validate(metrics[f"{horizon}d"]).trials for horizon in gates.horizons}


def _forecasts(io: StageIO) -> dict[int, Forecasts]:
    ensemble, labels = io.inputs.find("ensemble"), io.inputs.find("labels")
    walk = io.inputs.find_document(Folds)
    if ensemble is None or labels is None or walk is None:
        return {}
    forecasts = {}
    for horizon, reported in walk.reported.items():
        folds = [fold for fold in reported if f"{horizon}d/{fold.name}.parquet" in ensemble.outputs]
        if folds:
            forecasts[horizon] = _forecast(io, ensemble, labels, horizon, folds)
    return forecasts


def _forecast(io: StageIO, ensemble: StageResult, labels: StageResult, horizon: int, folds: list[Fold]) -> Forecasts:
    rows = slice(folds[0].test.start, folds[-1].test.stop)
    names = [f"up_{horizon}d", *(f"return_{horizon}d_{entry}" for entry in LABEL_ENTRIES)]
    truth = read_matrices(io.inputs.artifact(labels, "labels.parquet"), names)
    tests = [_test(io, ensemble, horizon, fold) for fold in folds]
    return Forecasts(
        sessions=truth.sessions[rows],
        p_up=np.concatenate([test["p_up"] for test in tests]),
        base_rate=np.concatenate([test["base_rate"] for test in tests]),
        up=truth[names[0]][rows].astype(np.float64),
        returns={entry: truth[name][rows] for entry, name in zip(LABEL_ENTRIES, names[1:], strict=True)},
        fold_stops=[fold.test.stop - rows.start for fold in folds],
    )


def _test(io: StageIO, ensemble: StageResult, horizon: int, fold: Fold) -> dict[str, FloatArray]:
    """The test rows of a fold's file. The file begins with the validation window."""
    file = read_matrices(io.inputs.artifact(ensemble, f"{horizon}d/{fold.name}.parquet"), ("p_up", "base_rate"))
    return {name: values[-len(fold.test) :] for name, values in file.values.items()}


def _daily(io: StageIO) -> dict[int, dict[str, AnyArray]]:
    portfolio = io.inputs.find("portfolio")
    files = (
        {} if portfolio is None else {name: name.partition("d/")[0] for name in portfolio.outputs if "d/daily" in name}
    )
    return {int(horizon): read_table(io.path("portfolio", name)) for name, horizon in files.items()}


def _show_trades(io: StageIO) -> dict[str, str]:
    portfolio = io.inputs.find("portfolio")
    files = [] if portfolio is None else [name for name in portfolio.outputs if name.endswith(".csv")]
    return {name: io.outputs.show(name, io.path("portfolio", name).read_bytes()) for name in files}


def _predictions(io: StageIO) -> dict[str, AnyArray] | None:
    result = io.inputs.find("predict")
    if result is None or "predictions.parquet" not in result.outputs:
        return None
    return read_table(io.inputs.artifact(result, "predictions.parquet"))


def _data_docs(io: StageIO, results: list[StageResult]) -> dict[str, str]:
    """Data Docs of this run and of the runs whose results it reuses: address relative to the report → path or URI."""
    dag, run_id = io.identity.dag, io.identity.run_id
    runs = {(dag, run_id): ""}
    for reused in {result.reused_from for result in results} - {None, run_id}:
        for other in (dag, *PIPELINES):
            runs.setdefault((other, str(reused)), f"../../{other}/{artifacts.run_key(str(reused))}/")
    found: dict[str, tuple[str, str]] = {}
    for (other, other_run), relative in runs.items():
        prefix = artifacts.page_key(other, other_run, "")
        for key in io.store.keys(f"{prefix}data_docs/"):
            page = key.removeprefix(prefix)
            found.setdefault(page, (relative + page, io.store.locate(key)))
    return dict(found.values())
