"""refit: fits the recipe on all sessions where the gates passed; elsewhere bundles the last fold's model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import DEEP_MODELS, ModelName, ModelsConfig, RefitConfig
from foundry_tasks.contract.documents import BaseRates, Fold, Gates, Refit, Refits
from foundry_tasks.contract.documents.refit import BundleKind
from foundry_tasks.contract.errors import NothingToDo
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.data.tables import FeatureFile, read_matrices
from foundry_tasks.evaluation.metrics import session_dispersion, session_rank_ic
from foundry_tasks.features.labels import label_span
from foundry_tasks.inputs.label_file import TargetFile
from foundry_tasks.inputs.run_inputs import RunInputs
from foundry_tasks.models.base_models import by_transform, estimator_for, load_libraries, load_model, target_of
from foundry_tasks.models.bundle import Bundle, needed_features
from foundry_tasks.models.design import Designs
from foundry_tasks.models.estimator import FittedModel
from foundry_tasks.models.fit_pool import FitPool
from foundry_tasks.models.stack import Stack
from foundry_tasks.models.training import FitWindow, WindowTrainer


def run(config: RefitConfig, io: StageIO) -> None:
    """gates.json, features, labels → bundle/{h}d.zip and refit.json. Raises NothingToDo after `validate_only`."""
    gates = io.read(Gates)
    if gates.validate_only:
        raise NothingToDo("validate_only: the run stops after the gates, nothing is refitted.")
    with io.step("read"):
        features = FeatureFile(io.path("features", "features.parquet"))
        targets = TargetFile(io.path("labels", "labels.parquet"))
    inputs = RunInputs(io.inputs)
    recipe, folds = inputs.fitted_config(config.threads), inputs.folds
    verdicts = {horizon: gates.horizons[horizon].verdict for horizon in folds}
    io.steps.progress.start("refit", len(folds))
    wanted = [horizon for horizon, verdict in verdicts.items() if verdict in {"passed", "challenger"}]
    with io.step("refit"):
        fitted = _refit(io, folds, wanted, recipe, features, targets) if wanted else {}
    refits = {}
    for horizon, walk in folds.items():
        bundle = _last_fold(io, horizon, recipe, features)
        kind: BundleKind = "last_fold"
        found = Agreement(accepted=False, reason=f"the gates said {verdicts[horizon]}")
        if horizon in wanted:
            refitted = _bundle(io, horizon, fitted[horizon], "final", features)
            with io.step("compare"):
                found = _compare(refitted, io, horizon, walk[-1], features, config)
            if found.accepted:
                bundle, kind = refitted, "refit"
        io.publish_file(f"bundle/{horizon}d.zip", bundle.to_bytes())
        refits[horizon] = Refit(
            horizon=horizon,
            kind=kind,
            models=tuple(bundle.models),
            features=bundle.features,
            lookback_sessions=bundle.lookback_sessions,
            accepted=found.accepted,
            reason=found.reason,
            rank_correlation=found.rank_correlation,
            spread_ratio=found.spread_ratio,
        )
        io.outputs.metrics[f"{horizon}d"] = kind
        io.steps.progress.advance(f"{horizon}d {kind}")
    io.publish(Refits(horizons=refits))


@dataclass(frozen=True)
class Agreement:
    """Whether the refitted model is accepted, and its figures against the last fold's; NaN where none was refitted."""

    accepted: bool
    reason: str
    rank_correlation: float = math.nan
    spread_ratio: float = math.nan


def _last_fold(io: StageIO, horizon: int, recipe: ModelsConfig, features: FeatureFile) -> Bundle:
    fits: dict[str, FittedModel] = {
        name.removeprefix(f"fit/{horizon}d/").removesuffix(".json"): load_model(
            io.inputs.artifact(result, name).read_bytes()
        )
        for result in io.inputs.shards("models")
        for name in result.outputs
        if name.startswith(f"fit/{horizon}d/")
    }
    models: dict[str, FittedModel] = {name: fits[name] for name in recipe.models}
    return _bundle(io, horizon, models, "last_fold", features)


def _refit(
    io: StageIO,
    folds: Mapping[int, tuple[Fold, ...]],
    wanted: Sequence[int],
    recipe: ModelsConfig,
    features: FeatureFile,
    targets: TargetFile,
) -> Mapping[int, Mapping[str, FittedModel]]:
    """Horizon → its models, for `wanted` horizons. As in a fold, all horizons of the run share the bins of a model."""
    entry = RunInputs(io.inputs).labels_config.label_entry
    n_sessions, windows = len(features.sessions), {}
    for horizon, walk in folds.items():
        stop = n_sessions - label_span(horizon, entry)
        start = max(0, stop - len(walk[-1].fit)) if recipe.walk == "rolling" else 0
        windows[horizon] = FitWindow(start, stop, label_span(horizon, entry) + recipe.gap_sessions)
    load_libraries(recipe.models)
    fitted: dict[int, dict[str, FittedModel]] = {horizon: {} for horizon in wanted}
    designs = Designs(features)

    def fit(name: ModelName) -> list[FittedModel]:
        estimator = estimator_for(name, recipe)
        trainer = WindowTrainer(
            estimator, designs[estimator.transform], list(windows.values()), recipe, mapper=pool.share
        )
        return [trainer.fit(learned[name, horizon], windows[horizon]) for horizon in wanted]

    with FitPool(recipe.threads) as pool:
        for transform, names in by_transform(recipe.models):
            designs[transform]
            learned = {
                (name, horizon): target_of(name, horizon, recipe, targets.wide) for name in names for horizon in wanted
            }
            for name, models in zip(names, pool.jobs(fit, names, alone=DEEP_MODELS.__contains__), strict=True):
                for horizon, model in zip(wanted, models, strict=True):
                    fitted[horizon][name] = model
            designs.drop(transform)
    return {horizon: {name: models[name] for name in recipe.models} for horizon, models in fitted.items()}


def _bundle(
    io: StageIO, horizon: int, models: Mapping[str, FittedModel], stack_kind: str, features: FeatureFile
) -> Bundle:
    stack = Stack.from_bytes(io.path("ensemble", f"{horizon}d/stack_{stack_kind}.json").read_bytes())
    inputs = RunInputs(io.inputs)
    return Bundle(
        market=inputs.prices_config.market,
        horizon=horizon,
        features=needed_features(models, stack, features.names),
        base_rate=io.read(BaseRates, f"{horizon}d/{BaseRates.artifact}").of(stack_kind),
        models=models,
        stack=stack,
        about={
            "kind": "refit on all data" if stack_kind == "final" else "model of the last fold",
            "last_session": str(features.sessions[-1]),
            "label_entry": inputs.labels_config.label_entry,
            "features_digest": io.inputs.result("features").outputs_digest,
            "labels_digest": io.inputs.result("labels").outputs_digest,
            "prices_digest": io.inputs.result("prices").outputs_digest,
            "code_version": io.environment.code.version,
        },
        calendar=inputs.prices_config.calendar,
        n_tickers=len(features.tickers),
    )


def _compare(
    refitted: Bundle, io: StageIO, horizon: int, fold: Fold, features: FeatureFile, config: RefitConfig
) -> Agreement:
    """Compare the refitted with the last fold's model, on that fold's test sessions. Both must predict alike."""
    published = read_matrices(io.path("ensemble", f"{horizon}d/{fold.name}.parquet"))
    tested = slice(max(0, fold.test.start - refitted.lookback_sessions), fold.test.stop)
    panel = features.panel(refitted.features, tested)
    old: FloatArray = published["p_up"][-len(fold.test) :]
    new = refitted.p_up(panel, threads=config.threads)[-len(fold.test) :]
    correlation = float(np.nanmean(session_rank_ic(new, old)))
    ratio = float(np.nanmean(session_dispersion(new)) / np.nanmean(session_dispersion(old)))
    low, high = config.spread_ratio_band
    reasons = []
    if not correlation >= config.min_rank_correlation:
        reasons.append(
            f"rank correlation with the last fold's model {correlation:.2f} < {config.min_rank_correlation:g}"
        )
    if not low <= ratio <= high:
        reasons.append(f"spread ratio {ratio:.2f} outside {low:g}–{high:g}")
    return Agreement(
        accepted=not reasons,
        reason="; ".join(reasons) or "agrees with the last fold's model",
        rank_correlation=correlation,
        spread_ratio=ratio,
    )
