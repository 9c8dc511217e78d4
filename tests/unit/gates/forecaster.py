"""Evidence of a simulated forecaster: calibrated, with a given AUC, equal in validation and test."""

from collections.abc import Callable

import numpy as np

from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.standard_portfolio import DailyPnl, StandardTrades
from foundry_tasks.walk.evidence import Evidence
from foundry_tasks.walk.trading import Trading

SESSIONS, TICKERS, FOLDS = 400, 100, 4


def trading(forward_return: FloatArray, *, earned: float = 0.001, seed: int = 1) -> Trading:
    """Returns from the next open, and a portfolio that trades its whole capital and earns this much a session before costs."""
    n_sessions = len(forward_return)
    gross, turnover = np.random.default_rng(seed).normal(earned, 0.001, n_sessions), np.ones(n_sessions)
    daily = DailyPnl(np.datetime64("2020-01-01") + np.arange(n_sessions), gross - 0.00025 * turnover)
    return Trading(1.0, forward_return, StandardTrades("next_open", daily, gross, turnover))


def evidence(
    auc: float = 0.54, *, seed: int = 1, leaks: tuple[str, ...] = (), horizon: int = 1, base: float = 0.52
) -> Evidence:
    """Evidence of a calibrated forecaster with about this AUC, equal in validation and test."""
    rng = np.random.default_rng(seed)
    slope = (auc - 0.5) * 2 * np.sqrt(np.pi)
    score = rng.normal(size=(2 * SESSIONS, TICKERS))
    p_true = 1 / (1 + np.exp(-(np.log(base / (1 - base)) + slope * score)))
    up = (rng.random(score.shape) < p_true).astype(float)
    median = (score * slope + rng.logistic(size=score.shape) > 0).astype(float)
    p_up, test_up, test_median = p_true[SESSIONS:], up[SESSIONS:], median[SESSIONS:]

    def by_fold(
        figure: Callable[[FloatArray, FloatArray], FloatArray], p: FloatArray, labels: FloatArray
    ) -> list[FloatArray]:
        return np.split(figure(p, labels), FOLDS)

    return Evidence(
        horizon=horizon,
        p_up=p_up,
        base_rate=np.full(p_up.shape, base),
        up=test_up,
        above_median=test_median,
        forward_return=score[SESSIONS:] * slope + rng.logistic(size=p_up.shape),
        member=np.ones(p_up.shape, dtype=bool),
        validation_relative=by_fold(metrics.session_hit_rate, p_true[:SESSIONS], median[:SESSIONS]),
        test_relative=by_fold(metrics.session_hit_rate, p_up, test_median),
        validation_up=by_fold(metrics.session_accuracy, p_true[:SESSIONS], up[:SESSIONS]),
        test_up=by_fold(metrics.session_accuracy, p_up, test_up),
        leaks=leaks,
        trading=trading(test_up - 0.5),
    )
