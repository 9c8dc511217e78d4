"""Planted leaks, one function per kind. A test of the audit: it must find each of them."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from foundry_tasks.audit import leakage
from foundry_tasks.data.panel import FeaturePanel, FloatArray, PricePanel
from foundry_tasks.features.build import build_features
from foundry_tasks.features.labels import build_labels, label_span
from foundry_tasks.walk.folds import WalkForwardValidator
from foundry_tasks.walk.study import Recipe

Planted = Callable[[PricePanel, Recipe, np.random.Generator], tuple[str, ...]]
"""prices, recipe, random generator → findings of the leakage audit once the leak is planted."""


def tomorrows_return(prices: PricePanel) -> FloatArray:
    """The return that a one-day label is made of, one session too early.

    Shape (n_sessions, n_tickers), decimal, NaN in the last session.
    """
    close = prices.adjusted_close
    early: FloatArray = np.vstack([close[1:] / close[:-1] - 1, np.full((1, close.shape[1]), np.nan)])
    return early


def centred_mean(prices: PricePanel) -> FloatArray:
    """A mean of five closes around the session, two of them in the future.

    Shape (n_sessions, n_tickers), of logarithms.
    """
    close = np.log(prices.adjusted_close)
    padded = np.pad(close, ((2, 2), (0, 0)), mode="edge")
    centred: FloatArray = np.mean([padded[k : k + len(close)] for k in range(5)], axis=0)
    return centred


def scaled_on_all_rows(prices: PricePanel) -> FloatArray:
    """Closes standardised over the whole history, including later sessions.

    Shape (n_sessions, n_tickers), in deviations.
    """
    close = prices.adjusted_close
    scaled: FloatArray = (close - np.nanmean(close, axis=0)) / np.nanstd(close, axis=0)
    return scaled


def with_feature(feature: Callable[[PricePanel], FloatArray], prices: PricePanel) -> FeaturePanel:
    """The features of the set `core` and the feature `planted`, computed by `feature`."""
    made = build_features(prices, "core").panel
    values = np.concatenate([made.values, feature(prices)[None].astype(np.float32)])
    return FeaturePanel(made.sessions, made.tickers, (*made.names, "planted"), values)


def _audited(
    feature: Callable[[PricePanel], FloatArray], prices: PricePanel, _: Recipe, rng: np.random.Generator
) -> tuple[str, ...]:
    def build(panel: PricePanel) -> Iterator[FeaturePanel]:
        yield with_feature(feature, panel)

    at = int(rng.integers(len(prices.sessions) // 2, len(prices.sessions) - 1))
    return leakage.audit_features(prices, with_feature(feature, prices), build, at=at, rng=rng)


def _purge_dropped(prices: PricePanel, recipe: Recipe, _: np.random.Generator) -> tuple[str, ...]:
    folds = WalkForwardValidator(recipe.models).folds(len(prices.sessions), horizon=0)
    return leakage.audit_folds(folds, label_span=label_span(recipe.horizon, "close"))


def _label_reaches_too_far(prices: PricePanel, recipe: Recipe, rng: np.random.Generator) -> tuple[str, ...]:
    further = build_labels(prices, recipe.horizon + 1).up
    return leakage.audit_labels(
        prices, {recipe.horizon: {"up": further}}, "close", at=len(prices.sessions) // 2, rng=rng
    )


PLANTED_LEAKS: Mapping[str, Planted] = {
    "tomorrow's return": partial(_audited, tomorrows_return),
    "centred window": partial(_audited, centred_mean),
    "scaler on all rows": partial(_audited, scaled_on_all_rows),
    "purge dropped": _purge_dropped,
    "label too long": _label_reaches_too_far,
}
