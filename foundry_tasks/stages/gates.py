"""gates: hold each horizon's evidence against the policy. A refusal is a result; only a broken stage fails."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foundry_tasks.contract.artifacts import canonical_json, result_key
from foundry_tasks.contract.config import GatePolicy, GatesConfig
from foundry_tasks.contract.ledger import model_name
from foundry_tasks.contract.ledger_chain import Ledger
from foundry_tasks.contract.stage_io import StageIO, StageResult
from foundry_tasks.data.panel import DateArray, FloatArray
from foundry_tasks.data.tables import Matrices, read_matrices
from foundry_tasks.evaluation import metrics
from foundry_tasks.validation.gates import Evidence, GateReport, evaluate_gates, interval_of, json_ready
from foundry_tasks.validation.walk_forward import Fold, folds_from_json

Metric = Callable[[FloatArray, FloatArray], FloatArray]
ENTRIES = ("close", "next_open", "next_close")


def run(config: GatesConfig, io: StageIO) -> None:
    """ensemble's P(up), labels and the leakage audit → gates.json."""
    policy = GatePolicy(**{name: getattr(config, name) for name in GatePolicy.model_fields})
    folds = folds_from_json(io.json("models", "folds.json", io.any_result("models").shard))
    leaks = tuple(io.json("leakage", "leakage.json")["leaks"])
    reports = {}
    for horizon, walk in folds.items():
        with io.step(f"gates_{horizon}d"):
            reported = [fold for fold in walk if fold.reported]
            evidence, returns = _evidence(io, horizon, reported, leaks)
            champion = Champion.of(io, model_name(config.market, horizon))
            if champion is not None:
                evidence = champion.beside(evidence, io, horizon, reported)
            report = evaluate_gates(evidence, policy, seed=config.seed)
            beside = _beside(evidence, returns, policy, config.seed)
        document = report.as_dict() | {"beside": json_ready(beside)}
        if config.skip_gates:
            document["verdict"] = "skipped"
        document["champion_version"] = champion.version if champion else None
        reports[str(horizon)] = document
        io.metrics[f"{horizon}d"] = {"verdict": document["verdict"], "auc": document["gates"][0]["value"]}
        _warn(io, horizon, report, beside, skipped=config.skip_gates)
    published = {"validate_only": config.validate_only, "policy": policy.model_dump(), "horizons": reports}
    io.publish("gates.json", canonical_json(published))


@dataclass(frozen=True)
class Champion:
    """The version that the ledger calls champion, and the run that made it."""

    version: int
    dag: str
    run_id: str

    @classmethod
    def of(cls, io: StageIO, model: str) -> "Champion | None":
        """None where there is no champion yet."""
        state = Ledger(io.store).state(model)
        if state.champion is None:
            return None
        dag, _, run_id = state.versions[state.champion].digests.run.partition("/")
        return cls(state.champion, dag, run_id)

    def beside(self, evidence: Evidence, io: StageIO, horizon: int, folds: list[Fold]) -> Evidence:
        """The evidence with the champion's own out-of-fold forecasts of the same sessions and tickers.

        Both recipes' out-of-fold scores are compared: a refitted champion has seen the rows.
        """
        found = io.store.read(result_key(self.dag, self.run_id, "ensemble", None))
        forecast = np.full(evidence.p_up.shape, np.nan)
        if found is not None:
            result = StageResult.model_validate_json(found)
            mine = read_matrices(io.path("labels", "labels.parquet"), [])
            sessions = mine.sessions[folds[0].test.start : folds[-1].test.stop]
            for name in sorted(result.outputs):
                if name.startswith(f"{horizon}d/fold"):
                    theirs = read_matrices(io.artifact(result, name), ["p_up"])
                    _lay(forecast, sessions, mine.tickers, theirs)
        common = int(np.isfinite(forecast).any(axis=1).sum())
        note = f"champion is version {self.version}; {common} sessions that both recipes forecast out of fold"
        return replace(evidence, champion_p_up=forecast, champion_note=note)


def _lay(into: FloatArray, sessions: DateArray, tickers: tuple[str, ...], theirs: Matrices) -> None:
    """Copy another run's forecasts to where session and ticker agree; a later fold's file has the later word."""
    _, rows, their_rows = np.intersect1d(sessions, theirs.sessions, return_indices=True)
    _, columns, their_columns = np.intersect1d(tickers, theirs.tickers, return_indices=True)
    values = theirs["p_up"][np.ix_(their_rows, their_columns)]
    present = into[np.ix_(rows, columns)]
    into[np.ix_(rows, columns)] = np.where(np.isfinite(values), values, present)


def _evidence(
    io: StageIO, horizon: int, folds: list[Fold], leaks: tuple[str, ...]
) -> tuple[Evidence, dict[str, FloatArray]]:
    first, stop = folds[0].test.start, folds[-1].test.stop
    names = [f"up_{horizon}d", f"median_{horizon}d", "member", *(f"return_{horizon}d_{entry}" for entry in ENTRIES)]
    labels = read_matrices(io.path("labels", "labels.parquet"), names)
    up, median = (labels[name].astype(np.float64) for name in names[:2])
    forecasts = [read_matrices(io.path("ensemble", f"{horizon}d/{fold.name}.parquet")) for fold in folds]
    tests = [_cut(matrices, fold, "test") for fold, matrices in zip(folds, forecasts, strict=True)]

    def by_fold(figure: Metric, answers: FloatArray, window: str) -> list[FloatArray]:
        """A figure by session, in one window of every fold."""
        return [
            figure(_cut(matrices, fold, window)["p_up"], answers[dict(fold.windows())[window].slice])
            for fold, matrices in zip(folds, forecasts, strict=True)
        ]

    evidence = Evidence(
        horizon=horizon,
        p_up=np.concatenate([part["p_up"] for part in tests]),
        base_rate=np.concatenate([part["base_rate"] for part in tests]),
        up=up[first:stop],
        above_median=median[first:stop],
        member=labels["member"][first:stop],
        validation_relative=by_fold(metrics.session_hit_rate, median, "validation"),
        test_relative=by_fold(metrics.session_hit_rate, median, "test"),
        validation_up=by_fold(metrics.session_accuracy, up, "validation"),
        test_up=by_fold(metrics.session_accuracy, up, "test"),
        leaks=leaks,
    )
    return evidence, {entry: labels[f"return_{horizon}d_{entry}"][first:stop] for entry in ENTRIES}


def _cut(matrices: Matrices, fold: Fold, window: str) -> dict[str, FloatArray]:
    """P(up) and base rate of one window of a fold's file, which runs from validation to the end of test."""
    windows = dict(fold.windows())
    start = windows.get("validation", fold.test).start
    wanted = windows[window]
    rows = slice(wanted.start - start, wanted.stop - start)
    return {name: matrices[name][rows] for name in ("p_up", "base_rate")}


def _beside(evidence: Evidence, returns: dict[str, FloatArray], policy: GatePolicy, seed: int) -> dict[str, Any]:
    """What stands beside the gates and refuses nothing: ranking under three entries, and by fold."""

    def figures(series: FloatArray) -> dict[str, float]:
        interval = interval_of(series, evidence, policy, seed)
        return {"value": interval.value, "lower": interval.lower, "upper": interval.upper}

    entries = {
        entry: {
            "auc_up": figures(metrics.session_auc(evidence.p_up, np.where(np.isfinite(values), values > 0, np.nan))),
            "rank_ic": figures(metrics.session_rank_ic(evidence.p_up, values)),
        }
        for entry, values in returns.items()
        if np.isfinite(values).any()
    }
    lengths = [len(series) for series in evidence.test_up]
    stops = np.cumsum(lengths)
    auc = metrics.session_auc(evidence.p_up, evidence.up)
    relative = metrics.session_auc(evidence.p_up, evidence.above_median)
    ic = metrics.session_rank_ic(evidence.p_up, returns["close"])
    by_fold = [
        {"auc_up": _mean(auc[a:b]), "auc_median": _mean(relative[a:b]), "rank_ic": _mean(ic[a:b])}
        for a, b in zip(stops - lengths, stops, strict=True)
    ]
    brier = metrics.session_brier(evidence.p_up, evidence.up)
    return {
        "auc_median": figures(relative),
        "rank_ic": figures(ic),
        "hit_rate_up": figures(metrics.session_accuracy(evidence.p_up, evidence.up)),
        "brier": figures(brier),
        "brier_base_rate": figures(metrics.session_brier(evidence.base_rate, evidence.up)),
        "base_rate": float(np.nanmean(evidence.up)),
        "entries": entries,
        "folds": by_fold,
        "sessions": len(auc),
    }


def _mean(series: FloatArray) -> float:
    known = series[np.isfinite(series)]
    return float(known.mean()) if len(known) else float("nan")


def _warn(io: StageIO, horizon: int, report: GateReport, beside: dict[str, Any], *, skipped: bool) -> None:
    if skipped:
        io.warn(f"{horizon}d: gates skipped on request; this version can never become champion")
    elif report.failed:
        io.warn(f"{horizon}d: {report.verdict}, gates {', '.join(report.failed)}")
    late = beside["entries"].get("next_close")
    if late and not late["auc_up"]["lower"] > 0.5:
        io.warn(f"{horizon}d: traded at the close of t+1 the ranking cannot be told from chance")
