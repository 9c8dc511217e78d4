"""Models: the fits of a walk, compared with the same fits from rows of a frame without shared work, at equal AUC."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.markets import FIVE_YEAR, read_market
from benchmarks.row import Row, taking_turns, timed
from foundry_tasks.contract.config import ModelName, ModelsConfig
from foundry_tasks.contract.documents import Fold
from foundry_tasks.data.panel import FeaturePanel, FloatArray
from foundry_tasks.evaluation.metrics import known_mean, session_auc
from foundry_tasks.features import build_features
from foundry_tasks.features.labels import Labels, build_labels
from foundry_tasks.models.base.lightgbm import LightGBMClassifier
from foundry_tasks.models.base.logistic import LogisticRegression as OurLogistic
from foundry_tasks.models.base.xgboost import INPUTS, XGBoostClassifier
from foundry_tasks.models.base_models import BASE_MODELS
from foundry_tasks.models.design import Designs, input_names
from foundry_tasks.models.fit_pool import FitPool
from foundry_tasks.models.meta_learner import average
from foundry_tasks.walk.block_fits import BlockFitter
from foundry_tasks.walk.folds import WalkForwardValidator

SAME_AUC = 0.005
"""Tolerance of the AUC. Different sampled rows and bins change it like another seed: by 0.001 at 1 day, more at 20."""

Scores = dict[tuple[int, str, ModelName], FloatArray]
"""Horizon, fold and model → the scores of the fold's test, (n_sessions, n_tickers)."""


def rows(market_data: Path, peers: Path, *, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - the same libraries, no peers
    """Rows for one block of the walk, and for the whole walk."""
    market = read_market(market_data, FIVE_YEAR)
    features = build_features(market, "extended").panel
    labels = {horizon: build_labels(market, horizon) for horizon in ModelsConfig().horizons}
    yield _beside(Contest(features, labels, seeds=1, blocks=(2,)), pairs=3 if quick else 5, quick=True)
    if not quick:
        yield _beside(Contest(features, labels, seeds=1, blocks=tuple(range(7))), pairs=1, quick=False)


def _beside(contest: "Contest", *, pairs: int, quick: bool) -> Row:
    scores: dict[str, Scores] = {}
    one = timed(lambda: scores.update(ours=contest.ours()))
    other = timed(lambda: scores.update(theirs=contest.from_frames()))
    # No warm-up turn for what takes minutes.
    turns = taking_turns(one, other, pairs=pairs) if pairs > 1 else [(one(), other())]
    ours, theirs = contest.auc(scores["ours"]), contest.auc(scores["theirs"])
    print({horizon: (round(auc, 4), round(theirs[horizon], 4)) for horizon, auc in ours.items()})
    for horizon, auc in ours.items():
        assert abs(auc - theirs[horizon]) < SAME_AUC, (
            f"{horizon} d: AUC {auc:.4f} and {theirs[horizon]:.4f} from frames"
        )
    seeds = "1 seed" if contest.seeds == 1 else f"{contest.seeds} seeds"
    name = f"{len(contest.blocks)} blocks × 3 horizons × 3 models, {seeds}, 505 × 1,259"
    return Row.of(turns, name, "each fit from a frame of rows", least_ratio=2, quick=quick)


@dataclass(frozen=True)
class Contest:
    """The same fits, made by the models stage and made as in a notebook."""

    features: FeaturePanel
    labels: dict[int, Labels]
    seeds: int
    blocks: tuple[int, ...]

    @cached_property
    def config(self) -> ModelsConfig:
        return ModelsConfig(first_test_session=500, seeds=self.seeds)

    @cached_property
    def walk(self) -> dict[int, tuple[Fold, ...]]:
        validator = WalkForwardValidator(self.config)
        return {horizon: validator.folds(len(self.features.sessions), horizon) for horizon in self.labels}

    def auc(self, scores: Scores) -> dict[int, float]:
        """Horizon → mean per-session AUC of the models' average."""
        found = {}
        for horizon, walk in self.walk.items():
            folds = [walk[block] for block in self.blocks]
            parts = [average({name: scores[horizon, fold.name, name] for name in self.config.models}) for fold in folds]
            up = np.concatenate([self.labels[horizon].up[fold.test.slice] for fold in folds])
            found[horizon] = known_mean(session_auc(np.concatenate(parts), up))
        return found

    def ours(self) -> Scores:
        """Foundry's fits: bins shared by horizons and seeds, fits in parallel."""
        fitter = BlockFitter(
            self.config, tuple(self.labels), self.walk, {horizon: horizon for horizon in self.labels}, Designs(self.features),
            lambda horizon, kind: getattr(self.labels[horizon], kind), lambda _: nullcontext(),
        )  # fmt: skip
        fitter.load(self.config.models)
        found: Scores = {}
        jobs = [(name, block) for name in self.config.models for block in self.blocks]
        with FitPool(self.config.threads) as pool:
            for fits in pool.jobs(lambda job: fitter.fit(pool, job), jobs):
                found |= {(fit.horizon, fit.fold.name, fit.name): fit.scores[-len(fit.fold.test) :] for fit in fits}
        return found

    def from_frames(self) -> Scores:
        """A notebook's fits: rows chosen from a frame by date, everything computed again for each fit."""
        names = list(input_names(self.features))
        shape = (len(self.features.sessions), len(self.features.tickers))
        index = pd.MultiIndex.from_product([range(shape[0]), range(shape[1])], names=["session", "ticker"])
        raw = pd.DataFrame({name: self.features[name].reshape(-1) for name in names}, index=index)
        raw = raw[raw.notna().mean(axis=1) >= 0.5]
        frames = {"raw": raw, "rank": raw.groupby(level="session").rank(pct=True).astype(np.float32) - 0.5}
        found: Scores = {}
        for horizon, walk in self.walk.items():
            for name in self.config.models:
                estimator = BASE_MODELS[name]
                frame = frames[estimator.transform]
                target = pd.Series(getattr(self.labels[horizon], estimator.label_kind).reshape(-1), index=index)
                target = target.reindex(frame.index)
                for fold in (walk[block] for block in self.blocks):
                    learn = frame.loc[fold.fit.start : fold.fit.stop - 1]
                    learned = target.loc[fold.fit.start : fold.fit.stop - 1]
                    test = frame.loc[fold.test.start : fold.test.stop - 1]
                    scores = _fitted(estimator, learn[learned.notna()], learned.dropna(), test, self.config)
                    wide = pd.Series(scores, index=test.index).unstack().reindex(columns=range(shape[1]))
                    found[horizon, fold.name, name] = wide.reindex(range(fold.test.start, fold.test.stop)).to_numpy()
        return found


def _fitted(estimator: Any, learn: pd.DataFrame, target: pd.Series, test: pd.DataFrame, config: ModelsConfig) -> Any:
    """Mean log-odds of the seeds' fits, with Foundry's settings and all threads."""
    seeds = range(config.seed, config.seed + config.seeds)
    if isinstance(estimator, OurLogistic):
        strength = 1 / (estimator.l2 * len(learn))
        model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=strength))
        return model.fit(learn, target).decision_function(test)
    total = np.zeros(len(test))
    for seed in seeds:
        if isinstance(estimator, LightGBMClassifier):
            parameters = estimator._parameters() | {"num_threads": config.threads, "seed": seed}  # noqa: SLF001 - the same settings
            booster = lightgbm.train(parameters, lightgbm.Dataset(learn, target), estimator.rounds)
            total += booster.predict(test, raw_score=True)
        elif isinstance(estimator, XGBoostClassifier):
            used = [name for name in learn if name in INPUTS]
            parameters = estimator._parameters() | {"nthread": config.threads, "seed": seed}  # noqa: SLF001 - the same settings
            matrix = xgboost.QuantileDMatrix(learn[used], target, max_bin=estimator.max_bin)
            tested = xgboost.DMatrix(test[used])
            total += xgboost.train(parameters, matrix, estimator.rounds).predict(tested, output_margin=True)
    return total / len(seeds)
