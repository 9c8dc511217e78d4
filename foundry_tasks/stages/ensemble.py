"""ensemble: out-of-fold scores → stack → P(up). The stack of each fold is fitted on earlier blocks only."""

from functools import partial
from pathlib import Path

import numpy as np

from foundry_tasks.contract.config import EnsembleConfig
from foundry_tasks.contract.documents import BaseRates, Comparison, Fold, Interval
from foundry_tasks.contract.documents.ensemble import ComparedModel
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.data.tables import Matrices, panel_names, read_features, write_matrices
from foundry_tasks.evaluation.metrics import known_mean, pooled_auc, session_auc, session_rank_ic
from foundry_tasks.features.labels import Labels, label_span
from foundry_tasks.inputs.run_inputs import RunInputs
from foundry_tasks.inputs.scores import ScoreFiles
from foundry_tasks.models.bundle import regime_of
from foundry_tasks.models.market_regime import need_volatility
from foundry_tasks.models.meta_learner import REGIMES
from foundry_tasks.walk.drop_one_model import drop_one
from foundry_tasks.walk.stack_walk import StackInputs, StackWalk, walk_stack


def run(config: EnsembleConfig, io: StageIO) -> None:
    """scores/… and labels → {h}d/{fold}.parquet with P(up), {h}d/stack*.json, comparison.json."""
    with io.step("read"):
        inputs = RunInputs(io.inputs)
        folds = inputs.folds
        regime = regime_of(_market_wide(io.path("features", "features.parquet")))
        for switch in ("regime_scale", "regime_intercept"):
            if getattr(config, switch):
                need_volatility(regime, switch)
    io.steps.progress.start("ensemble", sum(len(walk) for walk in folds.values()))
    comparison: dict[int, dict[str, ComparedModel]] = {}
    why: dict[str, str] = {}
    fitted = "base models fitted per regime; " if inputs.models_config.per_regime else ""
    for horizon, walk in folds.items():
        labels = inputs.labels(horizon)
        with io.step(f"stack_{horizon}d"):
            stack_inputs = StackInputs(
                partial(inputs.scores.of, horizon),
                regime,
                labels,
                horizon,
                label_span(horizon, inputs.labels_config.label_entry),
            )
            stacked = walk_stack(
                walk,
                stack_inputs,
                config,
                advance=io.steps.progress.advance,
            )
        _publish(io, horizon, stacked, inputs.label_grid)
        why[str(horizon)] = f"{fitted}{stacked.final.why}"
        comparison[horizon] = _compare(walk, inputs.scores, stacked, labels, horizon, why[str(horizon)])
    io.publish(Comparison(horizons=comparison))
    io.outputs.metrics |= {"stack": {**why}}


def _market_wide(features: Path) -> FeaturePanel:
    return read_features(features, [name for name in panel_names(features) if name in REGIMES])


def _publish(io: StageIO, horizon: int, walk: StackWalk, grid: Matrices) -> None:
    for forecast in walk.folds:
        path = io.outputs.workspace / f"{horizon}d-{forecast.fold.name}.parquet"
        sessions = grid.sessions[forecast.window.slice]
        base_rate = np.broadcast_to(forecast.base_rate[:, None], forecast.p_up.shape)
        values = {"p_up": forecast.p_up, "score": forecast.scores, "base_rate": base_rate}
        write_matrices(path, Matrices(sessions, grid.tickers, values), repeated=("base_rate",))
        io.publish_file(f"{horizon}d/{forecast.fold.name}.parquet", path)
    last = walk.folds[-1]
    io.publish_file(f"{horizon}d/stack_last_fold.json", last.stack.to_bytes())
    io.publish_file(f"{horizon}d/stack_final.json", walk.final.to_bytes())
    rates = BaseRates(last_fold=float(last.base_rate[-1]), final=walk.base_rate)
    io.publish(rates, f"{horizon}d/{BaseRates.artifact}")


def _compare(
    walk: tuple[Fold, ...], scores: ScoreFiles, stacked: StackWalk, labels: Labels, horizon: int, why: str
) -> dict[str, ComparedModel]:
    """Every base model, the reference blend and the stack on the reported test sessions, and what each base model adds.

    why: the reasons for the composition of the stack.
    """
    reported = [fold for fold in walk if fold.reported]
    sessions = slice(reported[0].test.start, reported[-1].test.stop)
    stack = np.concatenate([item.scores[item.fold.test.start - item.window.start :] for item in stacked.folds])
    columns = {**scores.tested(horizon, reported), "stack": stack}
    base = {name: columns[name] for name in stacked.final.models}
    adds = drop_one(base, labels.up[sessions], horizon=horizon) if len(base) > 1 else {}
    added = {name: Interval(value=found.value, lower=found.lower, upper=found.upper) for name, found in adds.items()}
    return {
        name: ComparedModel(
            auc_up=known_mean(session_auc(values, labels.up[sessions])),
            auc_median=known_mean(session_auc(values, labels.median[sessions])),
            rank_ic=known_mean(session_rank_ic(values, labels.forward_return[sessions])),
            pooled_auc_up=pooled_auc(values, labels.up[sessions]),
            adds=added.get(name),
            why=why if name == "stack" else None,
        )
        for name, values in columns.items()
    }
