"""monitor: live figures of matured predictions, drift of features since the fit, and faults of the ledger."""

from collections.abc import Mapping
from datetime import date

import numpy as np
from pydantic import TypeAdapter, ValidationError

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.config import MonitorConfig
from foundry_tasks.contract.documents import Monitor, Prices, Versions
from foundry_tasks.contract.documents.monitor import (
    DriftedFeature,
    FeatureDrift,
    LiveFigures,
    MonitoredHorizon,
    MonitorSettings,
)
from foundry_tasks.contract.documents.predict import IndexedPrediction, VersionInUse
from foundry_tasks.contract.errors import ConfigError, MissingInputError, TransientError
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import BoolArray, PricePanel
from foundry_tasks.data.tables import panel_names, read_features, read_matrices, read_prices, read_table
from foundry_tasks.evaluation.drift import Drift, Reference, reference_of
from foundry_tasks.evaluation.live_figures import LivePrediction, live_figures
from foundry_tasks.ledger.decisions import verify


def run(config: MonitorConfig, io: StageIO) -> None:
    """prices, features, versions.json and the index of predictions → monitor.json: live figures and drift per horizon.

    Each fault of the ledger, and each difference of MLflow from it, is a warning.
    """
    with io.step("ledger"):
        _verify_ledger(io)
    with io.step("read"):
        prices = read_prices(io.path("prices", "prices.parquet"))
        versions = io.read(Versions).horizons
    calendar = io.read(Prices).calendar
    live: dict[int, LiveFigures] = {}
    for h in config.horizons:
        with io.step("score"):
            live[h] = live_figures(_history(config, io, prices, h), prices, h, calendar, config)
        io.outputs.metrics[f"{h}d"] = {"sessions": live[h].sessions, "auc": live[h].auc.value}
        if warning := _live_warning(live[h], config):
            io.warn(f"{h}d: {warning}")
    with io.step("drift"):
        drift = {
            horizon: _drift_table(drifts, config) for horizon, drifts in _drifts(config, io, prices, versions).items()
        }
    drifted = {name for item in drift.values() for name in item.beyond}
    if drifted:
        io.warn(
            f"drift: {len(drifted)} features above PSI {config.max_psi:g} and above what is usual for them: "
            f"{', '.join(sorted(drifted))}"
        )
    io.outputs.metrics |= {"drifted": len(drifted)}
    found = {h: MonitoredHorizon(version=versions[h].version, live=live[h], drift=drift[h]) for h in config.horizons}
    io.publish(Monitor(horizons=found, asked=_asked(config)))


# ------------------------------------------------------------------ ledger
def _verify_ledger(io: StageIO) -> None:
    """Warn of every finding of `verify`. If MLflow does not answer, that is the warning: monitoring goes on."""
    try:
        findings = verify(io.store, io.environment.registry, thorough=False)
    except TransientError as error:
        findings = [f"was not compared with MLflow: {error}"]
    for finding in findings:
        io.warn(f"ledger: {finding}")


# ------------------------------------------------------------------ live figures
def _history(config: MonitorConfig, io: StageIO, prices: PricePanel, horizon: int) -> list[LivePrediction]:
    """One prediction per session, in the order of time: the first of a champion, else the first of a shadow."""
    sessions = prices.sessions.astype("datetime64[D]")
    oldest = str(sessions[max(0, len(sessions) - config.live_sessions - horizon - 1)])
    newest = str(sessions[-1])
    prefix = artifacts.predictions_prefix(config.market)
    by_day: dict[str, list[IndexedPrediction]] = {}
    for key in io.store.keys(prefix):
        day, name = key.removeprefix(prefix).split("/")
        if oldest <= day <= newest and name.startswith(f"{horizon}d-"):
            by_day.setdefault(day, []).append(_entry(io, key))
    chosen = [
        min(entries, key=lambda entry: (entry.kind != "champion", entry.made_at))
        for _, entries in sorted(by_day.items())
    ]
    return [LivePrediction(entry, _read(io, entry, horizon)) for entry in chosen]


def _entry(io: StageIO, key: str) -> IndexedPrediction:
    """A prediction of the store's index. Raises ConfigError where it is damaged."""
    try:
        return IndexedPrediction.model_validate_json(io.store.read(key) or b"")
    except ValidationError as error:
        raise ConfigError(
            f"the prediction {io.store.locate(key)} is damaged, so it cannot be scored. Restore it from a backup or "
            "delete it."
        ) from error


def _read(io: StageIO, entry: IndexedPrediction, horizon: int) -> dict[str, float]:
    table = read_table(io.store.object_path(entry.predictions), ("ticker", "horizon", "p_up"))
    rows = table["horizon"] == horizon
    return dict(zip(table["ticker"][rows].tolist(), table["p_up"][rows].tolist(), strict=True))


def _live_warning(live: LiveFigures, config: MonitorConfig) -> str:
    auc = live.auc
    if auc.value is None or auc.lower is None or auc.upper is None:  # too few sessions to tell
        return ""
    if auc.lower >= config.min_live_auc_lower:
        return ""
    verdict = "below" if auc.upper < config.min_live_auc_lower else "not shown to be above"
    return (
        f"live AUC {auc.value:.4f} [{auc.lower:.4f}, {auc.upper:.4f}] over {live.sessions} sessions is "
        f"{verdict} {config.min_live_auc_lower:g}"
    )


# ------------------------------------------------------------------ drift
def _drifts(
    config: MonitorConfig, io: StageIO, prices: PricePanel, versions: Mapping[int, VersionInUse]
) -> dict[int, dict[str, Drift]]:
    """Horizon → feature → drift, for the features of the horizon's version; empty where a reference is missing.

    The reference are the features that the version was fitted on, as published by the run that trained it.
    """
    names = sorted({name for version in versions.values() for name in version.features})
    recent = read_features(io.path("features", "features.parquet"), names).last(config.drift_sessions)
    rows = _rows(prices)[-len(recent.sessions) :]
    found: dict[int, dict[str, Drift]] = {}
    for horizon in config.horizons:
        try:
            references = _references(config, io, versions[horizon])
        except MissingInputError as error:
            io.warn(f"{horizon}d: drift is not measured: {error}")
            references = {}
        found[horizon] = {
            name: references[name].drift(recent[name], rows) for name in versions[horizon].features if references
        }
    return found


def _references(config: MonitorConfig, io: StageIO, version: VersionInUse) -> dict[str, Reference]:
    """Feature → reference, from the run that trained a version. Computed once and stored, since it spans many years."""
    trained, until = io.inputs.of_run(version.trained_in), version.fitted_until
    features = trained.path("features", "features.parquet")
    prices = trained.path("prices", "prices.parquet")
    code = io.environment.code.version
    made_of = artifacts.digest_of([features.name, prices.name, until, config.drift_sessions, code])
    key = artifacts.reuse_key("monitor", made_of)
    kept, references = io.store.read(key), TypeAdapter(dict[str, Reference])
    if kept is None:
        between = (None, date.fromisoformat(until))
        rows = _rows(read_prices(prices, between))
        counted = {
            name: reference_of(read_matrices(features, [name], between)[name], rows, recent=config.drift_sessions)
            for name in panel_names(features)
        }
        kept = artifacts.canonical_json(references.dump_python(counted, mode="json"))
        io.store.write(key, kept)
    return references.validate_json(kept)


def _rows(prices: PricePanel) -> BoolArray:
    """(n_sessions, n_tickers): True for members that have a close."""
    return np.isfinite(prices.fields["close"]) & prices.member


def _drift_table(drifts: Mapping[str, Drift], config: MonitorConfig) -> FeatureDrift:
    """All features, the largest PSI first; those beyond their limits; the number above max_psi."""
    order = sorted(drifts, key=lambda name: (-np.nan_to_num(drifts[name].psi), name))
    return FeatureDrift(
        features=tuple(DriftedFeature(feature=name, psi=drifts[name].psi, usual=drifts[name].usual) for name in order),
        beyond=tuple(name for name in order if drifts[name].beyond(config.max_psi)),
        above=sum(drifts[name].psi > config.max_psi for name in order),
    )


def _asked(config: MonitorConfig) -> MonitorSettings:
    return MonitorSettings(
        live_sessions=config.live_sessions,
        drift_sessions=config.drift_sessions,
        max_psi=config.max_psi,
        min_live_auc_lower=config.min_live_auc_lower,
    )
