"""One plain document from a run: what `report.json` is, and all that the page and the Markdown are written from. Pure."""

from collections.abc import Mapping
from math import fsum
from typing import Any

import numpy as np

from foundry_tasks.contract.documents import Interval, Promotion
from foundry_tasks.contract.documents.report import (
    AbsentStage,
    DataDocs,
    Links,
    Provenance,
    RegisteredVersion,
    Report,
    RunFacts,
    StageProvenance,
    StageTiming,
    StageWarning,
)
from foundry_tasks.contract.documents.report_gates import HorizonEvidence, JudgedBeside
from foundry_tasks.contract.stage_io import StageResult
from foundry_tasks.report.figures import session_figures
from foundry_tasks.report.material import Documents, Material, by_horizon
from foundry_tasks.report.portfolio import portfolio_section
from foundry_tasks.report.status import status_of
from foundry_tasks.validation.gates import json_ready

FEATURES_SHOWN = 15
DRIFTS_SHOWN = 8
_MODEL_ORDER = {"logistic": -1, "blend_40_60": 1, "stack": 2}
"""Base models first, then what is made of them."""
_WHY_ABSENT = {
    "foundry_daily": "the daily run predicts with the champion and judges nothing",
}


def assemble(material: Material) -> Report:
    """The report of a run. A part of the run that is missing is None or empty."""
    gates = material.documents.gates
    return Report(
        run=RunFacts(
            dag=material.dag,
            run_id=material.run_id,
            market=material.market,
            as_of=material.as_of.isoformat(),
            made_at=material.made_at,
        ),
        status=status_of(material),
        policy=gates.policy if gates else None,
        gates={horizon: item.gates for horizon, item in gates.horizons.items()} if gates else {},
        evidence=_evidence(material),
        portfolio=json_ready(portfolio_section(material)),
        models=json_ready(_models(material.documents)),
        predictions=json_ready(_predictions(material)),
        live=json_ready(_live(material.documents)),
        data=json_ready(_data(material.documents)),
        leakage=material.documents.leakage,
        warnings=_warnings(material),
        absent=_absent(material),
        stages=tuple(map(_timing, material.results)),
        provenance=_provenance(material),
        links=_links(material),
    )


# ------------------------------------------------------------------ evidence
def _evidence(material: Material) -> dict[int, HorizonEvidence]:
    gates, evidence = material.documents.gates, {}
    for horizon, forecasts in sorted(material.forecasts.items()):
        judged = gates.horizons.get(horizon) if gates else None
        auc = judged.gate("auc") if judged else None
        evidence[horizon] = HorizonEvidence(
            **dict(session_figures(forecasts, horizon)),
            auc_mean=Interval(value=auc.value, lower=auc.lower, upper=auc.upper) if auc else None,
            beside=JudgedBeside(**dict(judged.beside), trials=material.trials[horizon]) if judged else None,
        )
    return evidence


def _models(documents: Documents) -> dict[str, Any]:
    comparison, importance = by_horizon(documents.comparison), by_horizon(documents.importance)
    models = {}
    for horizon in comparison or importance:
        compared = comparison.get(horizon, {})
        models[horizon] = {
            "comparison": [
                {"model": name, **{key: value for key, value in figures.items() if key != "why"}}
                for name, figures in sorted(compared.items(), key=lambda item: _MODEL_ORDER.get(item[0], 0))
            ],
            "stack_why": compared.get("stack", {}).get("why"),
            "importance": _ranked(importance.get(horizon, {})),
        }
    return models


def _ranked(by_model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Features by their mean share of gain over the models; where no model has gain, by permutation."""
    means: dict[str, dict[str, float]] = {}
    for kind in ("gain", "permutation"):
        columns = [figures[kind] for figures in by_model.values() if figures.get(kind)]
        for feature in sorted({name for column in columns for name in column}):
            measured = [column[feature] for column in columns if column.get(feature) is not None]
            if measured:
                # Models name their largest shares alone, so a share that is missing is next to nothing.
                count = len(columns) if kind == "gain" else len(measured)
                means.setdefault(feature, {})[kind] = fsum(measured) / count
    order = sorted(means, key=lambda name: (-means[name].get("gain", 0), -means[name].get("permutation", 0), name))
    return [
        {
            "feature": name,
            "gain": means[name].get("gain"),
            "permutation": means[name].get("permutation"),
            "by_model": {
                model: {kind: figures[kind].get(name) for kind in ("gain", "permutation") if figures.get(kind)}
                for model, figures in by_model.items()
            },
        }
        for name in order[:FEATURES_SHOWN]
    ]


# ------------------------------------------------------------------ predictions
def _predictions(material: Material) -> dict[str, Any] | None:
    table, about = material.predictions, material.documents.predictions or {}
    if table is None or not len(table["ticker"]):
        return None
    newest = table["date"].astype("datetime64[D]").max()
    rows = np.flatnonzero(table["date"].astype("datetime64[D]") == newest)
    tickers: dict[str, dict[str, Any]] = {}
    for row in rows:
        ticker = str(table["ticker"][row])
        entry = tickers.setdefault(
            ticker, {"ticker": ticker, "mean_p_up": _number(table["mean_p_up"][row]), "horizons": {}}
        )
        entry["horizons"][str(int(table["horizon"][row]))] = {
            key: _number(table[key][row]) for key in ("p_up", "confidence", "position") if key in table
        }
    ranked = sorted(
        (entry for entry in tickers.values() if entry["mean_p_up"] is not None),
        key=lambda entry: (-entry["mean_p_up"], entry["ticker"]),
    )
    shown = min(material.top, max(len(ranked) // 2, 1))
    return {
        "as_of": str(newest),
        "tickers": len(ranked),
        "horizons": sorted({horizon for entry in ranked for horizon in entry["horizons"]}, key=int),
        "top": ranked[:shown],
        "bottom": ranked[shown:][-shown:][::-1],
        "coverage": about.get("coverage"),
        "per_horizon": by_horizon(about.get("per_horizon")),
    }


def _number(value: Any) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _live(documents: Documents) -> dict[str, Any] | None:
    """How earlier predictions did, and the features that have drifted most."""
    monitor = documents.monitor
    if monitor is None:
        return None
    horizons = {}
    for horizon, item in by_horizon(monitor).items():
        drift = item["drift"]
        shown = drift["features"][: max(DRIFTS_SHOWN, len(drift["beyond"]))]
        horizons[horizon] = {**item, "drift": {**drift, "features": shown, "measured": len(drift["features"])}}
    return {"asked": monitor["asked"], "horizons": horizons}


# ------------------------------------------------------------------ data and run
def _data(documents: Documents) -> dict[str, Any]:
    features = documents.features or {}
    return {
        "prices": documents.prices,
        "features": {
            "feature_set": features.get("feature_set"),
            "count": len(features.get("names", ())),
            "left_out": features.get("left_out", {}),
        }
        if features
        else None,
    }


def _warnings(material: Material) -> tuple[StageWarning, ...]:
    """What stages warned of, each with its name; and that a run is no experiment if its code changed on the way."""
    warnings = [
        StageWarning(stage=_label(result), text=text.removeprefix(f"{result.stage}: "))
        for result in material.results
        for text in result.warnings
    ]
    versions = {result.code_version for result in material.results}
    if len(versions) > 1:
        text = f"{len(versions)} versions of the code made this run; repeat it before anything is concluded from it"
        warnings.append(StageWarning(stage="report", text=text))
    return tuple(warnings)


def _absent(material: Material) -> tuple[AbsentStage, ...]:
    """Stages that published nothing, and why as far as the run says it."""
    there = {result.stage for result in material.results}
    said = {line["stage"]: " ".join(line["warnings"]) for line in material.run_log if line.get("warnings")}
    gates = material.documents.gates
    stopped = gates is not None and gates.validate_only
    unsaid = "validation only: the run stops after the gates" if stopped else "skipped, or the run did not get that far"
    absent = [
        AbsentStage(stage=stage, why=said.get(stage, unsaid).rstrip("."))
        for stage in material.upstream
        if stage not in there
    ]
    if "gates" not in material.upstream:
        absent.append(AbsentStage(stage="gates", why=_WHY_ABSENT.get(material.dag, "not part of this DAG")))
    return tuple(absent)


def _timing(result: StageResult) -> StageTiming:
    elapsed = result.elapsed_s
    start, total = elapsed.get("start", 0.0), elapsed.get("total", 0.0)
    return StageTiming(
        stage=result.stage,
        shard=result.shard,
        status=result.status,
        start_s=start,
        work_s=round(max(total - start, 0.0), 3),
        total_s=total,
        steps={name: seconds for name, seconds in elapsed.items() if name not in {"start", "total"}},
        reused_from=result.reused_from,
    )


def _provenance(material: Material) -> Provenance:
    prices = material.documents.prices or {}
    return Provenance(
        code_versions=tuple(sorted({result.code_version for result in material.results})),
        image_digests=tuple(sorted({result.image_digest for result in material.results if result.image_digest})),
        snapshot=prices.get("snapshot"),
        stages=tuple(
            StageProvenance(
                stage=_label(result),
                outputs_digest=result.outputs_digest,
                config_digest=result.config_digest,
                seed=result.seed,
                config=result.config,
            )
            for result in material.results
        ),
    )


def _links(material: Material) -> Links:
    docs = {name: where for name, where in material.pages.items() if name.endswith("index.html")}
    promotions = material.documents.promotion.horizons if material.documents.promotion else {}
    return Links(
        pages=material.locations,
        trades=material.trades,
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
