"""Retraining in a forward simulation: a fold's whole recipe, fitted anew when its day comes, from what there was then.

Fitted before session s it is the fold whose test begins at s: features, labels, base models, meta-learner and calibrator
are all made from the prices before s, and every later forecast from those up to its own session. Where the schedule is that
of a run's folds its forecasts are the run's; if they are not, something in the run saw what was not there yet.

Nothing is kept from one fit to the next, so that a fit can be repeated: the k-th fits all the blocks before it once more.
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
    """What a run's configs say of how its models are made, and when they are made anew.

    first_session: index of the first session that is forecast. every_sessions: how long a fit lasts.
    """

    feature_set: FeatureSet
    label_entry: LabelEntry
    models: ModelsConfig
    ensemble: EnsembleConfig
    first_session: int
    every_sessions: int

    def walk_before(self, session: int) -> Walk:
        """Per horizon the blocks of a fit before `session`, the last of which has still to be tested.

        Raises ConfigError where there are too few sessions to fit on.
        """
        number = 1 + (session - self.first_session) // self.every_sessions
        schedule = {"test_sessions": self.every_sessions, "first_test_session": self.first_session, "folds": number}
        validator = WalkForwardValidator(self.models.model_copy(update=schedule))
        walk = {h: validator.folds(session + self.every_sessions, self.label_span(h)) for h in self.models.horizons}
        return {h: (*folds[:-1], replace(folds[-1], test=Window(session, session))) for h, folds in walk.items()}

    def label_span(self, horizon: int) -> int:
        """How many sessions ahead a label of this horizon looks."""
        return label_span(horizon, self.label_entry)


@dataclass
class RetrainedForecasts:
    """The strategy that is fitted anew on its own schedule, and sizes what it then forecasts.

    stored_features: opens all features of some prices, which need not be in memory, such as `inputs.feature_file`.
    p_up: what it forecast, index of the session → (n_tickers,).
    """

    recipe: RetrainingRecipe
    horizon: int
    rules: BacktestConfig
    stored_features: Callable[[PricePanel, FeatureSet], AbstractContextManager[FeatureSource]]
    p_up: dict[int, FloatArray] = field(default_factory=dict)
    _models: Mapping[str, FittedModel] = field(default_factory=dict)
    _stack: Stack | None = None

    def fit(self, known: PricePanel) -> None:
        """The recipe, fitted for the sessions that follow `known`."""
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
        """Weights wanted after the last session of `known`."""
        if self._stack is None:
            raise RuntimeError("the strategy has to be fitted before it can forecast")
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
