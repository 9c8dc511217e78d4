"""predict: P(up) of the last session's tickers, by the champion if there is one, else by a shadow.

The shadow is the version that this run registered; in a run that registers none, the newest version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foundry_tasks.contract.artifacts import canonical_json, prediction_key, sha256_of
from foundry_tasks.contract.config import DEEP_MODELS, MODEL_NAMES, RECENT_SESSIONS, ModelName, PredictConfig
from foundry_tasks.contract.documents import Predictions, Promotions, Versions
from foundry_tasks.contract.documents.predict import IndexedPrediction, Predictor, PredictorKind, VersionInUse
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.ports import ModelVersion
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import AnyArray, FeaturePanel, FloatArray
from foundry_tasks.data.profile import profile_predictions
from foundry_tasks.data.tables import panel_sessions, read_features, write_table
from foundry_tasks.evaluation.positions import suggested_positions
from foundry_tasks.ledger.chain import Ledger
from foundry_tasks.ledger.records import LedgerState, model_name

if TYPE_CHECKING:
    from foundry_tasks.models.bundle import Bundle


_NAMED = 5
"""Number of missing features that a message names."""


def run(config: PredictConfig, io: StageIO) -> None:
    """features.parquet, registry → predictions.parquet (one row per ticker and horizon), predictions.json, versions.json.

    The prediction of each version is entered once in the store's index of predictions; `monitor` scores it later.
    """
    io.environment.expectations.warm_up()
    with io.step("read"):
        features = _recent(io.path("features", "features.parquet"))
    today = features.last(1)
    p_up: dict[int, FloatArray] = {}
    used: dict[int, Predictor] = {}
    versions: dict[int, VersionInUse] = {}
    for horizon in config.horizons:
        with io.step("load"):
            chosen = _chosen(io, config.market, horizon, features)
        with io.step("predict"):
            p_up[horizon] = _predict(chosen.bundle, features)
        versions[horizon] = _in_use(chosen)
        used[horizon] = Predictor(
            model=chosen.version.model, version=chosen.version.version, kind=chosen.kind, why=chosen.why
        )
    table = _table(p_up, versions, today, config)
    import pandas as pd  # noqa: PLC0415 - great_expectations loads it on its thread anyway

    seen = (np.asarray(table[name]) for name in ("date", "ticker", "horizon", "p_up"))
    io.outputs.guard("predictions", pd.DataFrame(profile_predictions(*seen)), {})
    with io.step("write"):
        path = io.outputs.workspace / "predictions.parquet"
        write_table(path, table)
        published = io.publish_file("predictions.parquet", path)
        io.publish(Versions(horizons=versions))
        _enter(versions, published.sha256, str(today.sessions[0]), config.market, io)
    live = np.isfinite(today.values).any(axis=(0, 1))
    covered = live & np.isfinite(np.stack(list(p_up.values()))).all(axis=0)
    coverage = float(covered.sum() / max(live.sum(), 1))
    io.publish(Predictions(as_of=str(today.sessions[0]), per_horizon=used, coverage=coverage))
    io.outputs.metrics |= {"coverage": coverage, "kinds": {f"{h}d": predictor.kind for h, predictor in used.items()}}


def _recent(path: Path) -> FeaturePanel:
    """Features of the last RECENT_SESSIONS sessions. No bundle looks back further."""
    first, *_ = panel_sessions(path)[-RECENT_SESSIONS:]
    return read_features(path, between=(first.item(), None))


@dataclass(frozen=True)
class Chosen:
    """The version that predicts, its bundle, its kind (champion or shadow), the reason, and the run that trained it."""

    version: ModelVersion
    bundle: "Bundle"
    kind: PredictorKind
    why: str
    trained_in: str


def _chosen(io: StageIO, market: str, horizon: int, features: FeaturePanel) -> Chosen:
    """The champion, else this run's version, else the newest. This run's version replaces a champion that lacks features here.

    Raises ConfigError if there is no version, if its bundle is not the ledger's, or if this run lacks its features.
    """
    model = model_name(market, horizon)
    state = Ledger(io.store).state(model)
    own = _registered(io, model, horizon, state)
    newest = max(state.versions, default=None)
    wanted = next((version for version in (state.champion, own, newest) if version is not None), None)
    if wanted is None:
        raise ConfigError(f"{model} has no version. Run the training pipeline first: foundry run train.")
    bundle = _bundle(io, model, wanted, state)
    missing = _missing(bundle, features)
    reason = "no champion"
    if missing and own is not None and own != wanted:
        reason = f"champion version {wanted} needs {_named(missing)}"
        wanted, bundle = own, _bundle(io, model, own, state)
        missing = _missing(bundle, features)
    if missing:
        raise ConfigError(
            f"{model} version {wanted} needs {_named(missing)}. Add the columns that they are made of, set feature_set "
            "as it was in training, or train again."
        )
    facts = state.versions[wanted]
    version, trained_in = ModelVersion(model, wanted, facts.sha256), facts.digests.run
    if wanted == state.champion:
        return Chosen(version, bundle, "champion", "promoted", trained_in)
    which = "this run's" if wanted == own else "the newest"
    why = f"{reason}; {which} version's verdict is {facts.verdict}"
    io.warn(f"{horizon}d: {reason}, so version {wanted} predicts as a shadow")
    return Chosen(version, bundle, "shadow", why, trained_in)


def _registered(io: StageIO, model: str, horizon: int, state: LedgerState) -> int | None:
    """The version that this run registered or found registered; None in a run without promote."""
    promotions = io.inputs.find_document(Promotions)
    promotion = promotions.horizons.get(horizon) if promotions else None
    version = promotion.version if promotion else None
    if version is not None and version not in state.versions:
        raise ConfigError(
            f"this run registered {model} version {version}, which the ledger does not know. Look at `foundry ledger "
            "verify`: store and ledger do not belong together."
        )
    return version


def _bundle(io: StageIO, model: str, version: int, state: LedgerState) -> "Bundle":
    from foundry_tasks.models.bundle import Bundle  # noqa: PLC0415 - needed for prediction only

    return Bundle.from_file(_bundle_file(io, model, version, state))


def _bundle_file(io: StageIO, model: str, version: int, state: LedgerState) -> Path:
    """A version's bundle, from the store, else from MLflow. Raises ConfigError if it is lost or its SHA-256 differs."""
    sha256 = state.versions[version].sha256
    wanted = ModelVersion(model, version, sha256)
    path = io.store.object_path(sha256) if io.store.has_object(sha256) else io.environment.registry.bundle(wanted)
    if path is None:
        raise ConfigError(
            f"the bundle of {model} version {version} ({sha256[:12]}…) is not in the store, and MLflow lacks it too. "
            "Run `foundry ledger repair`: it makes the version again or says what has to be restored."
        )
    if sha256_of(path.read_bytes()) != sha256:
        raise ConfigError(
            f"the bundle of {model} version {version} is not what the ledger knows ({path}); it is not loaded. "
            "Restore it from a backup or roll back to another version."
        )
    return path


def _missing(bundle: "Bundle", features: FeaturePanel) -> list[str]:
    return sorted(set(bundle.features) - set(features.names))


def _named(missing: list[str]) -> str:
    more = f"; {len(missing)} in all" if len(missing) > _NAMED else ""
    return f"features that this run lacks ({', '.join(missing[:_NAMED])}{more})"


def _enter(versions: Mapping[int, VersionInUse], predictions: str, as_of: str, market: str, io: StageIO) -> None:
    """Enter the prediction of each version after this session, with its time. An earlier entry is kept.

    predictions: SHA-256 of predictions.parquet. as_of: ISO date.
    """
    made_at = io.environment.now().isoformat(timespec="seconds")
    for horizon, version in versions.items():
        entry = IndexedPrediction(
            horizon=horizon,
            model=version.model,
            version=version.version,
            kind=version.kind,
            trained_in=version.trained_in,
            sha256=version.sha256,
            fitted_until=version.fitted_until,
            label_entry=version.label_entry,
            base_rate=version.base_rate,
            as_of=as_of,
            predictions=predictions,
            made_at=made_at,
            dag=io.identity.dag,
            run_id=io.identity.run_id,
        )
        key = prediction_key(market, date.fromisoformat(as_of), horizon, version.version)
        io.store.create(key, canonical_json(entry.model_dump(mode="json")))


def _predict(bundle: "Bundle", features: FeaturePanel) -> FloatArray:
    """(n_tickers,) P(up) after the last session."""
    from foundry_tasks.models.base_models import load_libraries  # noqa: PLC0415 - needed once the bundle is verified

    load_libraries(_fitted_by(bundle))
    p_up: FloatArray = bundle.p_up(features.last(1 + bundle.lookback_sessions))[-1]
    return p_up


def _in_use(chosen: Chosen) -> VersionInUse:
    bundle = chosen.bundle
    return VersionInUse(
        model=chosen.version.model,
        version=chosen.version.version,
        kind=chosen.kind,
        trained_in=chosen.trained_in,
        sha256=chosen.version.sha256,
        fitted_until=bundle.about["last_session"],
        label_entry=bundle.about["label_entry"],
        base_rate=bundle.base_rate,
        features=tuple(bundle.features),
    )


def _fitted_by(bundle: "Bundle") -> set[ModelName]:
    """Base models whose libraries are needed to score. Deep models are scored by NumPy, without their training backend."""
    meta: set[ModelName] = {"xgboost"} if bundle.stack.meta else set()
    return meta | {name for name in MODEL_NAMES if name in bundle.models and name not in DEEP_MODELS}


def _table(
    p_up: Mapping[int, FloatArray], versions: Mapping[int, VersionInUse], today: FeaturePanel, config: PredictConfig
) -> dict[str, AnyArray]:
    """Long table: one row per ticker and horizon. Tickers without a prediction at every horizon are left out.

    mean_p_up: over horizons; confidence: its distance from ½, doubled; position: of the promoted horizons, as in
    `suggested_positions`, the same in all rows of a ticker and NaN where no horizon has a champion.
    """
    horizons, stacked = list(p_up), np.stack(list(p_up.values()))
    kept = np.flatnonzero(np.isfinite(stacked).all(axis=0))
    mean, count = stacked[:, kept].mean(axis=0), len(kept)
    promoted = [h for h in horizons if versions[h].kind == "champion"]
    base_rate = np.array([versions[h].base_rate for h in promoted])
    position = suggested_positions(stacked[[horizons.index(h) for h in promoted]], base_rate, config)[kept]

    def each(values: Sequence[str] | Sequence[int]) -> AnyArray:
        return np.repeat(np.array(values), count)

    return {
        "date": np.full(count * len(horizons), today.sessions[0]),
        "ticker": np.tile(np.array(today.tickers)[kept], len(horizons)),
        "horizon": np.repeat(np.array(horizons), count),
        "p_up": stacked[:, kept].ravel(),
        "mean_p_up": np.tile(mean, len(horizons)),
        "confidence": np.tile(np.abs(2 * mean - 1), len(horizons)),
        "position": np.tile(position, len(horizons)),
        "model": each([versions[h].model for h in horizons]),
        "version": each([versions[h].version for h in horizons]),
        "kind": each([versions[h].kind for h in horizons]),
    }
