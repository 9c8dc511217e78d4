"""A study: the pipeline in memory, from prices to evidence, on a market whose edge is known.

features → labels → base models by block → walk of the stack → evidence, by the code that the stages run, without artifacts
in between. On markets of noise, studies measure the size of the gates; on markets with a planted edge, their power.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foundry_tasks.contract.config import EnsembleConfig, Entry, GatePolicy, LabelEntry, ModelsConfig
from foundry_tasks.contract.documents import Fold
from foundry_tasks.data.panel import BoolArray, FeaturePanel, FeatureSource, FloatArray, PricePanel
from foundry_tasks.features.build import build_features
from foundry_tasks.features.definition import FeatureSet
from foundry_tasks.features.labels import Labels, build_labels, forward_returns, label_span
from foundry_tasks.models.bundle import regime_of
from foundry_tasks.models.calibration import expanding_base_rate
from foundry_tasks.models.design import Designs
from foundry_tasks.walk.block_fits import FittedWalk, fit_walk
from foundry_tasks.walk.evidence import Evidence, FoldOutput, collapsed_folds, gather_evidence
from foundry_tasks.walk.folds import WalkForwardValidator
from foundry_tasks.walk.stack_walk import StackInputs, StackWalk, walk_stack
from foundry_tasks.walk.trading import traded

ALWAYS_LONG = 0.52
"""P(up) of the constant model `always_long`."""


@dataclass(frozen=True)
class Recipe:
    """Settings of how a model is made and judged, for one horizon."""

    feature_set: FeatureSet
    models: ModelsConfig
    ensemble: EnsembleConfig
    policy: GatePolicy
    label_entry: LabelEntry = "close"

    @property
    def horizon(self) -> int:
        """The first horizon of the config, in sessions."""
        return self.models.horizons[0]

    @property
    def label_span(self) -> int:
        """Sessions that a label looks ahead."""
        return label_span(self.horizon, self.label_entry)


def study(prices: PricePanel, recipe: Recipe, *, shift_sessions: int = 0, leaks: tuple[str, ...] = ()) -> Evidence:
    """The evidence of a recipe on these prices, for the gates.

    shift_sessions: sessions by which the label panel is shifted circularly before the models are fitted. The result is a
    null market that keeps the dependence of the prices in time and across tickers. leaks: findings of a leakage audit.
    """
    features = build_features(prices, recipe.feature_set).panel
    labels = build_labels(prices, recipe.horizon, recipe.label_entry)
    found = study_panel(Designs(features), labels, prices.member, recipe, shift_sessions=shift_sessions, leaks=leaks)
    return _with_trading(found, prices, recipe, shift_sessions)


def study_panel(
    designs: Designs,
    labels: Labels,
    member: BoolArray,
    recipe: Recipe,
    *,
    shift_sessions: int,
    leaks: tuple[str, ...] = (),
) -> Evidence:
    """`study` on designs and labels that exist already. member: (n_sessions, n_tickers)."""
    learned = shifted_labels(labels, shift_sessions)
    folds, fitted = _fitted(designs, learned, recipe)
    stacked = _stacked(designs.features, learned, recipe, folds, fitted)
    outputs = [
        FoldOutput(item.fold, item.p_up, np.broadcast_to(item.base_rate[:, None], item.p_up.shape))
        for item in stacked.folds
    ]
    collapsed = collapsed_folds(folds, fitted.of)
    return gather_evidence(outputs, learned, member, horizon=recipe.horizon, leaks=leaks, collapsed=collapsed)


def always_long(prices: PricePanel, recipe: Recipe) -> Evidence:
    """The evidence of a model whose P(up) is ALWAYS_LONG for every ticker and session, on the recipe's folds."""
    labels = build_labels(prices, recipe.horizon, recipe.label_entry)
    span = recipe.label_span
    base_rate = expanding_base_rate(labels.up, span)
    outputs = []
    for fold in WalkForwardValidator(recipe.models).folds(len(prices.sessions), span):
        if fold.reported:
            rows = slice((fold.validation or fold.test).start, fold.test.stop)
            known = np.broadcast_to(base_rate[rows, None], labels.up[rows].shape)
            outputs.append(FoldOutput(fold, np.full(known.shape, ALWAYS_LONG), known))
    found = gather_evidence(outputs, labels, prices.member, horizon=recipe.horizon, leaks=())
    return _with_trading(found, prices, recipe, 0)


def _with_trading(evidence: Evidence, prices: PricePanel, recipe: Recipe, shift_sessions: int) -> Evidence:
    """The evidence with its forecasts traded. Forward returns are shifted like the labels, the portfolio's prices are not."""
    horizon, folds = recipe.horizon, WalkForwardValidator(recipe.models).folds(len(prices.sessions), recipe.label_span)
    first = next(fold for fold in folds if fold.reported).test.start

    def returns_from(entry: Entry) -> FloatArray:
        returns = np.roll(forward_returns(prices, horizon, entry), shift_sessions, axis=0)
        return returns[first : first + len(evidence.p_up)]

    trading = traded(prices, evidence.p_up, returns_from, first_session=first, horizon=horizon)
    return replace(evidence, trading=trading)


def shifted_labels(labels: Labels, sessions: int) -> Labels:
    """Labels shifted circularly: the label of session t moves to t + `sessions`, modulo the number of sessions."""
    return Labels(*(np.roll(values, sessions, axis=0) for values in vars(labels).values()))


def walk(features: FeaturePanel, labels: Labels, recipe: Recipe) -> StackWalk:
    """Fit base models by block, then walk the stack on their out-of-fold scores."""
    return _stacked(features, labels, recipe, *_fitted(Designs(features), labels, recipe))


def _fitted(designs: Designs, labels: Labels, recipe: Recipe) -> tuple[tuple[Fold, ...], FittedWalk]:
    horizon, span = recipe.horizon, recipe.label_span
    folds = WalkForwardValidator(recipe.models).folds(len(designs.features.sessions), span)
    return folds, fit_walk(designs, labels, recipe.models, {horizon: folds}, {horizon: span}, horizon)


def _stacked(
    features: FeatureSource, labels: Labels, recipe: Recipe, folds: Sequence[Fold], fitted: FittedWalk
) -> StackWalk:
    inputs = StackInputs(fitted.of, regime_of(features), labels, recipe.horizon, recipe.label_span)
    return walk_stack(folds, inputs, recipe.ensemble)
