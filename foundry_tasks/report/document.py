"""One plain document from a run: what `report.json` is, and all that the page and the Markdown are written from. Pure."""

from collections.abc import Mapping, Sequence
from math import fsum

import numpy as np

from foundry_tasks.contract.documents import Interval, Monitor, Promotion
from foundry_tasks.contract.documents.ensemble import ModelFigures
from foundry_tasks.contract.documents.models import ModelImportance
from foundry_tasks.contract.documents.monitor import FeatureDrift
from foundry_tasks.contract.documents.report import (
    AbsentStage,
    ComparedRow,
    Data,
    DataDocs,
    FeaturesInUse,
    HorizonPrediction,
    ImportanceShare,
    Links,
    LiveHorizon,
    LiveSection,
    ModelsSection,
    PredictionsSection,
    Provenance,
    RankedFeature,
    RegisteredVersion,
    Report,
    RunFacts,
    ShownDrift,
    StageProvenance,
    StageTiming,
    StageWarning,
    TickerPrediction,
)
from foundry_tasks.contract.documents.report_gates import HorizonEvidence, JudgedDiagnostics
from foundry_tasks.contract.results import StageResult
from foundry_tasks.report.figures import session_figures
from foundry_tasks.report.portfolio import portfolio_section
from foundry_tasks.report.report_inputs import Documents, ReportInputs
from foundry_tasks.report.status import status_of

FEATURES_SHOWN = 15
DRIFTS_SHOWN = 8
STACK = "stack"
_MODEL_ORDER = {"logistic": -1, "blend_40_60": 1, STACK: 2}
"""Base models first, then what is made of them."""
_WHY_ABSENT = {
    "foundry_daily": "the daily run predicts with the champion and judges nothing",
}


def assemble(inputs: ReportInputs) -> Report:
    """The report of a run. A part of the run that is missing is None or empty."""
    gates = inputs.documents.gates
    return Report(
        run=RunFacts(
            dag=inputs.dag,
            run_id=inputs.run_id,
            market=inputs.market,
            as_of=inputs.as_of.isoformat(),
            made_at=inputs.made_at,
        ),
        status=status_of(inputs),
        policy=gates.policy if gates else None,
        gates={horizon: item.gates for horizon, item in gates.horizons.items()} if gates else {},
        evidence=_evidence(inputs),
        portfolio=portfolio_section(inputs),
        models=_models(inputs.documents),
        predictions=_predictions(inputs),
        live=_live(inputs.documents.monitor),
        data=_data(inputs.documents),
        leakage=inputs.documents.leakage,
        warnings=_warnings(inputs),
        absent=_absent(inputs),
        stages=tuple(map(_timing, inputs.results)),
        provenance=_provenance(inputs),
        links=_links(inputs),
    )


# ------------------------------------------------------------------ evidence
def _evidence(inputs: ReportInputs) -> dict[int, HorizonEvidence]:
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
    return evidence


def _models(documents: Documents) -> dict[int, ModelsSection]:
    comparison = documents.comparison.horizons if documents.comparison else {}
    importance = documents.importance.horizons if documents.importance else {}
    models = {}
    for horizon in comparison or importance:
        compared = comparison.get(horizon, {})
        models[horizon] = ModelsSection(
            comparison=tuple(
                _compared(name, figures)
                for name, figures in sorted(compared.items(), key=lambda item: _MODEL_ORDER.get(item[0], 0))
            ),
            stack_why=compared[STACK].why if STACK in compared else None,
            importance=_ranked(importance.get(horizon, {})),
        )
    return models


def _compared(name: str, found: ModelFigures) -> ComparedRow:
    return ComparedRow(
        model=name,
        auc_up=found.auc_up,
        auc_median=found.auc_median,
        rank_ic=found.rank_ic,
        pooled_auc_up=found.pooled_auc_up,
        adds=found.adds,
    )


def _ranked(by_model: Mapping[str, ModelImportance]) -> tuple[RankedFeature, ...]:
    """Features by their mean share of gain over the models; where no model has gain, by permutation."""
    gains = [found.gain for found in by_model.values() if found.gain]
    losses = [found.permutation for found in by_model.values() if found.permutation]
    # Models name their largest shares alone, so a share that is missing is next to nothing.
    gain = {name: fsum(values) / len(gains) for name, values in _by_feature(gains).items()}
    permutation = {name: fsum(values) / len(values) for name, values in _by_feature(losses).items()}
    order = sorted(gain.keys() | permutation, key=lambda name: (-gain.get(name, 0), -permutation.get(name, 0), name))
    return tuple(
        RankedFeature(
            feature=name,
            gain=gain.get(name),
            permutation=permutation.get(name),
            by_model={
                model: ImportanceShare(gain=found.gain.get(name), permutation=found.permutation.get(name))
                for model, found in by_model.items()
            },
        )
        for name in order[:FEATURES_SHOWN]
    )


def _by_feature(columns: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Feature → its value in every model that names it."""
    found: dict[str, list[float]] = {}
    for column in columns:
        for name, value in column.items():
            found.setdefault(name, []).append(value)
    return found


# ------------------------------------------------------------------ predictions
def _predictions(inputs: ReportInputs) -> PredictionsSection | None:
    table, about = inputs.predictions, inputs.documents.predictions
    if table is None or not len(table["ticker"]):
        return None
    newest = table["date"].astype("datetime64[D]").max()
    means: dict[str, float | None] = {}
    horizons: dict[str, dict[int, HorizonPrediction]] = {}
    for row in np.flatnonzero(table["date"].astype("datetime64[D]") == newest):
        ticker = str(table["ticker"][row])
        means.setdefault(ticker, _number(table["mean_p_up"][row]))
        figures = {key: _number(table[key][row]) for key in HorizonPrediction.model_fields if key in table}
        horizons.setdefault(ticker, {})[int(table["horizon"][row])] = HorizonPrediction(**figures)
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


def _number(value: np.floating) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _live(monitor: Monitor | None) -> LiveSection | None:
    """How earlier predictions did, and the features that have drifted most."""
    if monitor is None:
        return None
    horizons = {
        horizon: LiveHorizon(version=item.version, live=item.live, drift=_shown(item.drift))
        for horizon, item in monitor.horizons.items()
    }
    return LiveSection(asked=monitor.asked, horizons=horizons)


def _shown(drift: FeatureDrift) -> ShownDrift:
    return ShownDrift(
        features=drift.features[: max(DRIFTS_SHOWN, len(drift.beyond))],
        beyond=drift.beyond,
        above=drift.above,
        measured=len(drift.features),
    )


# ------------------------------------------------------------------ data and run
def _data(documents: Documents) -> Data:
    found = documents.features
    features = (
        FeaturesInUse(feature_set=found.feature_set, count=len(found.names), left_out=found.left_out) if found else None
    )
    return Data(prices=documents.prices, features=features)


def _warnings(inputs: ReportInputs) -> tuple[StageWarning, ...]:
    """What stages warned of, each with its name; and that a run is no experiment if its code changed on the way."""
    warnings = [
        StageWarning(stage=_label(result), text=text.removeprefix(f"{result.stage}: "))
        for result in inputs.results
        for text in result.warnings
    ]
    versions = {result.code_version for result in inputs.results}
    if len(versions) > 1:
        text = f"{len(versions)} versions of the code made this run; repeat it before anything is concluded from it"
        warnings.append(StageWarning(stage="report", text=text))
    return tuple(warnings)


def _absent(inputs: ReportInputs) -> tuple[AbsentStage, ...]:
    """Stages that published nothing, and why as far as the run says it."""
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


def _provenance(inputs: ReportInputs) -> Provenance:
    prices = inputs.documents.prices
    return Provenance(
        code_versions=tuple(sorted({result.code_version for result in inputs.results})),
        image_digests=tuple(sorted({result.image_digest for result in inputs.results if result.image_digest})),
        snapshot=prices.snapshot if prices else None,
        stages=tuple(
            StageProvenance(
                stage=_label(result),
                outputs_digest=result.outputs_digest,
                config_digest=result.config_digest,
                seed=result.seed,
                config=result.config,
            )
            for result in inputs.results
        ),
    )


def _links(inputs: ReportInputs) -> Links:
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


def _label(result: StageResult) -> str:
    return result.stage if result.shard is None else f"{result.stage}/{result.shard}"
