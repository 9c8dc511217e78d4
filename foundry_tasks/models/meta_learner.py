"""Stacking: combine the scores of the base models into one score.

The meta-learner is an XGBoost model. Its inputs are the base models' scores standardised within the session, their mean,
their standard deviation (the disagreement) and the market's regime. It is used only if its AUC is higher than that of the
plain average on out-of-fold blocks that it was not fitted on, by an interval that excludes zero. Otherwise the stack is
the plain average, and `Stack.why` says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foundry_tasks.data.panel import FloatArray

_PARAMETERS = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 3,
    "learning_rate": 0.1,
    "min_child_weight": 500.0,
    "subsample": 0.5,
    "colsample_bytree": 0.7,
    "reg_lambda": 50.0,
    "max_bin": 64,
}
_ROUNDS = 30
REGIMES = ("market_trend_200d", "market_vol_20d", "breadth_sma50", "dispersion_20d", "vix_level")
"""Market-wide inputs of the meta-learner, as far as a run has them: trend, volatility, breadth, dispersion, VIX."""


def standardise(scores: FloatArray) -> FloatArray:
    """Scores with mean 0 and deviation 1 (ddof=0) within each session; 0 in a session of equal scores, NaN stays NaN.

    scores: (n_sessions, n_tickers). Returns the same shape.
    """
    finite = np.isfinite(scores)
    count = np.maximum(finite.sum(axis=1, keepdims=True), 1)
    filled = np.where(finite, scores, 0.0)
    centred = np.where(finite, filled - filled.sum(axis=1, keepdims=True) / count, 0.0)
    deviation = np.sqrt((centred * centred).sum(axis=1, keepdims=True) / count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(finite, np.where(deviation > 1e-12, centred / deviation, 0.0), np.nan)


def average(scores: Mapping[str, FloatArray], weights: Mapping[str, float] | None = None) -> FloatArray:
    """Weighted mean of the base models' standardised scores, standardised again; NaN where any of the scores is NaN.

    scores: name → (n_sessions, n_tickers). weights: name → weight; None: equal weights. Returns (n_sessions, n_tickers).

    >>> average({"a": np.array([[1.0, 2.0, 3.0]]), "b": np.array([[0.1, 0.2, 0.3]])}).round(3).tolist()
    [[-1.225, 0.0, 1.225]]
    """
    share = weights or dict.fromkeys(scores, 1.0)
    total = sum(weight * standardise(scores[name]) for name, weight in share.items())
    return standardise(np.asarray(total))


@dataclass(frozen=True)
class MetaLearner:
    """A fitted meta-learner: the mean of the margins of its boosters, one per seed.

    models, regimes: names of the inputs, in order.
    """

    models: tuple[str, ...]
    regimes: tuple[str, ...]
    boosters: tuple[bytes, ...]
    """XGBoost models in JSON."""

    def scores(self, base: Mapping[str, FloatArray], regime: Mapping[str, FloatArray]) -> FloatArray:
        """Scores standardised within the session. base: name → (n_sessions, n_tickers); regime: name → (n_sessions,)."""
        import xgboost as xgb  # noqa: PLC0415 - slow to import

        columns = _columns([base[name] for name in self.models], [regime[name] for name in self.regimes])
        known = np.isfinite(columns[..., : len(self.models)]).all(axis=-1)
        total = np.zeros(int(known.sum()))
        matrix = xgb.DMatrix(columns[known])
        for document in self.boosters:
            booster = xgb.Booster(model_file=bytearray(document))
            total += booster.predict(matrix, output_margin=True)
        result = np.full(known.shape, np.nan)
        result[known] = total / len(self.boosters)
        return standardise(result)


def fit_meta_learner(
    base: Mapping[str, FloatArray],
    regime: Mapping[str, FloatArray],
    labels: FloatArray,
    *,
    seeds: Sequence[int],
    threads: int,
) -> MetaLearner:
    """Fit a meta-learner on out-of-fold scores, one booster per seed.

    base: name → (n_sessions, n_tickers). regime: name → (n_sessions,). labels: (n_sessions, n_tickers), 0 or 1. Rows
    without a label, or without the score of every base model, are dropped.
    """
    import xgboost as xgb  # noqa: PLC0415 - as above

    columns = _columns(list(base.values()), list(regime.values()))
    known = np.isfinite(columns[..., : len(base)]).all(axis=-1) & np.isfinite(labels)
    matrix = xgb.QuantileDMatrix(columns[known], label=labels[known], max_bin=_PARAMETERS["max_bin"], nthread=threads)
    boosters = tuple(
        bytes(
            xgb.train({**_PARAMETERS, "seed": seed, "nthread": threads, "base_score": 0.5}, matrix, _ROUNDS).save_raw(
                "json"
            )
        )
        for seed in seeds
    )
    return MetaLearner(tuple(base), tuple(regime), boosters)


def _columns(base: Sequence[FloatArray], regime: Sequence[FloatArray]) -> FloatArray:
    """(n_sessions, n_tickers, n_models + 2 + n_regimes) float32: scores, their mean and standard deviation, the regime."""
    scores = [standardise(item) for item in base]
    stacked = np.stack(scores, axis=-1)
    agreement = [stacked.mean(axis=-1), stacked.std(axis=-1)]
    market = [np.broadcast_to(series[:, None], stacked.shape[:2]) for series in regime]
    return np.stack([*scores, *agreement, *market], axis=-1).astype(np.float32)
