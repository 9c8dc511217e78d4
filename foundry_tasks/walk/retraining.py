"""Retraining in a forward simulation: the whole recipe is fitted again on a schedule, from the prices known at that session.

A fit before session s is the fold whose test window begins at s: features, labels, base models, meta-learner and
calibrator are made from the prices before s, and each later forecast from the prices up to its own session. If the schedule
is that of a run's folds, the forecasts must equal those of the run; a difference means that the run used later data.

No state is kept between fits, so each fit can be repeated: the k-th fit repeats all blocks before it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from foundry_tasks.contract.config import BacktestConfig, EnsembleConfig, LabelEntry, ModelsConfig
from foundry_tasks.contract.documents import Window
from foundry_tasks.data.panel import FeaturePanel, FeatureSource, FloatArray, PricePanel
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.features.build import build_features
from foundry_tasks.features.definition import FeatureSet
from foundry_tasks.features.labels import Labels, build_labels, label_span
from foundry_tasks.models.base_models import score_panel
from foundry_tasks.models.bundle import lookback_of, regime_of
from foundry_tasks.models.calibration import expanding_base_rate
from foundry_tasks.models.design import Designs
from foundry_tasks.models.estimator import FittedModel
from foundry_tasks.models.stack import Stack
from foundry_tasks.walk.block_fits import Walk, fit_walk
from foundry_tasks.walk.folds import WalkForwardValidator
from foundry_tasks.walk.stack_walk import StackInputs, walk_stack


@dataclass(frozen=True)
class RetrainingRecipe:
    """Settings of a run's models, and the schedule of the fits.

    first_session: index of the first session that is forecast. every_sessions: number of sessions between two fits.
    """

    feature_set: FeatureSet
    label_entry: LabelEntry
    models: ModelsConfig
    ensemble: EnsembleConfig
    first_session: int
    every_sessions: int

    def walk_before(self, session: int) -> Walk:
        """Horizon → blocks of a fit before `session`. The test window of the last block is empty.

        Raises ConfigError if there are too few sessions to fit on.
        """
        number = 1 + (session - self.first_session) // self.every_sessions
        schedule = {"test_sessions": self.every_sessions, "first_test_session": self.first_session, "folds": number}
        validator = WalkForwardValidator(self.models.model_copy(update=schedule))
        walk = {h: validator.folds(session + self.every_sessions, self.label_span(h)) for h in self.models.horizons}
        return {h: (*folds[:-1], replace(folds[-1], test=Window(session, session))) for h, folds in walk.items()}

    def label_span(self, horizon: int) -> int:
        """Sessions that a label of this horizon looks ahead."""
        return label_span(horizon, self.label_entry)


@dataclass
class RetrainedForecasts:
    """A strategy that is fitted again on the recipe's schedule and turns its forecasts into weights.

    rules: the sizing rules. stored_features: opens all features of some prices, which need not be in memory, such as
    `inputs.feature_file`. p_up: index of the session → forecast P(up), (n_tickers,).
    """

    recipe: RetrainingRecipe
    horizon: int
    rules: BacktestConfig
    stored_features: Callable[[PricePanel, FeatureSet], AbstractContextManager[FeatureSource]]
    p_up: dict[int, FloatArray] = field(default_factory=dict)
    _models: Mapping[str, FittedModel] = field(default_factory=dict)
    _stack: Stack | None = None

    def fit(self, known: PricePanel) -> None:
        """Fit the recipe for the sessions after `known`. Raises ConfigError if these prices have too few sessions."""
        with self.stored_features(known, self.recipe.feature_set) as features:
            self._fit(features, known)

    def _fit(self, features: FeatureSource, known: PricePanel) -> None:
        recipe, horizon = self.recipe, self.horizon
        walk = recipe.walk_before(len(known.sessions))
        labels = self._labels(known)
        label_spans = {h: recipe.label_span(h) for h in walk}
        fitted = fit_walk(Designs(features), labels, recipe.models, walk, label_spans, horizon)
        self._models = fitted.last
        inputs = StackInputs(fitted.of, regime_of(features), labels, horizon, label_spans[horizon])
        self._stack = walk_stack(walk[horizon], inputs, recipe.ensemble).folds[-1].stack

    def targets(self, known: PricePanel) -> FloatArray:
        """Target weights after the last session of `known`, (n_tickers,). Raises RuntimeError before the first `fit`."""
        if self._stack is None:
            raise RuntimeError("the strategy is not fitted. Call fit before targets.")
        features = self._features(known)
        last, recent = features.last(1), features.last(1 + lookback_of(self._models))
        base = {name: score_panel(model, recent)[-1:] for name, model in self._models.items()}
        base_rate = expanding_base_rate(self._labels(known).up, self.recipe.label_span(self.horizon))[-1:]
        p_up = self._stack.p_up(base, regime_of(last), base_rate)
        self.p_up[len(known.sessions) - 1] = p_up[0]
        weights: FloatArray = target_weights(p_up, known.member[-1:], self.rules)[0]
        return weights

    def _features(self, known: PricePanel) -> FeaturePanel:
        return build_features(known, self.recipe.feature_set).panel

    def _labels(self, known: PricePanel) -> Labels:
        return build_labels(known, self.horizon, self.recipe.label_entry)
