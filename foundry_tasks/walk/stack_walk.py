"""The walk of the stack: each fold's meta-learner and calibrator are fitted on out-of-fold scores of earlier blocks alone.

The sessions that fold k may learn from end with the fit window of its base models. Its validation and test windows are not
used, and no base model is fitted a second time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import EnsembleConfig
from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation.metrics import session_auc
from foundry_tasks.features.labels import Labels
from foundry_tasks.models.calibration import expanding_base_rate, fit_calibrator
from foundry_tasks.models.market_regime import VOLATILITY
from foundry_tasks.models.meta_learner import MetaLearner, average, fit_meta_learner
from foundry_tasks.models.regime_adjustment import fit_adjustment
from foundry_tasks.models.stack import Stack
from foundry_tasks.statistics.block_means import BlockRule, mean_interval

_RULE = BlockRule(confidence=0.95, min_blocks=12)
Scores = Mapping[str, FloatArray]


@dataclass(frozen=True)
class FoldForecast:
    """Forecast of one reported fold on the sessions of `window`, from validation to the end of test.

    p_up, scores: (len(window), n_tickers); base_rate: (len(window),), as known at each session.
    """

    fold: Fold
    window: Window
    stack: Stack
    p_up: FloatArray
    scores: FloatArray
    base_rate: FloatArray


@dataclass(frozen=True)
class StackWalk:
    """Forecasts of all reported folds, and the final stack, fitted on all out-of-fold scores."""

    folds: tuple[FoldForecast, ...]
    final: Stack
    base_rate: float
    """Base rate known after the last session, for the final stack."""


@dataclass(frozen=True)
class StackInputs:
    """Inputs of the walk of the stack at one horizon.

    scores(fold, window): base model → scores by that fold's models, (len(window), n_tickers). regime: name →
    (n_sessions,). label_span: sessions that a label looks ahead.
    """

    scores: Callable[[Fold, Window], Scores]
    regime: Scores
    labels: Labels
    horizon: int
    label_span: int


def walk_stack(
    folds: Sequence[Fold], inputs: StackInputs, config: EnsembleConfig, advance: Callable[[str], None] = lambda _: None
) -> StackWalk:
    """Fit the stack of every reported fold, in the order of time, and the final stack.

    folds: warm-up blocks and reported folds. advance: called with the name of each block when it is done.
    """
    forecasts = []
    walked = _Walked.of(folds, inputs)
    for fold, _, forecast in _forecasts(folds, inputs, config, walked):
        if forecast is not None:
            forecasts.append(forecast)
        advance(fold.name)
    everything = _Past(walked.oof, walked.meta_oof, inputs.regime, inputs.labels, len(inputs.labels.up))
    final = everything.stack(everything.fit_meta(config), inputs.horizon, config)
    return StackWalk(tuple(forecasts), final, float(expanding_base_rate(inputs.labels.up, 1)[-1]))


def taught_by_past(
    folds: Sequence[Fold], inputs: StackInputs, config: EnsembleConfig, *, without_meta: int
) -> tuple[Stack, MetaLearner | None]:
    """The stack of the last of `folds`, a reported one, as `walk_stack` fits it, and its meta-learner, used or not.

    without_meta: number of first blocks whose meta-learners are not fitted. Then too few of their out-of-fold scores may be
    known to use one. Raises ValueError for a warm-up block.
    """
    *_, (_, meta, forecast) = _forecasts(folds, inputs, config, _Walked.of(folds, inputs), without_meta=without_meta)
    if forecast is None:
        raise ValueError(f"{folds[-1].name} is not reported, so it has no stack")
    return forecast.stack, meta


@dataclass(frozen=True)
class _Walked:
    """Out-of-fold scores of base models and of the meta-learner so far, (n_sessions, n_tickers), NaN elsewhere."""

    oof: dict[str, FloatArray]
    meta_oof: FloatArray

    @classmethod
    def of(cls, folds: Sequence[Fold], inputs: StackInputs) -> "_Walked":
        """Before the first fold."""
        nothing = np.full(inputs.labels.up.shape, np.nan)
        return cls({name: nothing.copy() for name in inputs.scores(folds[0], folds[0].test)}, nothing)


def _forecasts(
    folds: Sequence[Fold], inputs: StackInputs, config: EnsembleConfig, walked: _Walked, *, without_meta: int = 0
) -> Iterator[tuple[Fold, MetaLearner | None, FoldForecast | None]]:
    """Each block, its meta-learner and, where it is reported, its forecast. Its scores are added to `walked`."""
    scores, regime, labels, horizon = inputs.scores, inputs.regime, inputs.labels, inputs.horizon
    oof, meta_oof = walked.oof, walked.meta_oof
    base_rate = expanding_base_rate(labels.up, inputs.label_span)
    for position, fold in enumerate(folds):
        forecast = None
        stop = fold.fit.stop
        earlier = _Past(oof, meta_oof, regime, labels, stop)
        meta = earlier.fit_meta(config) if position and position >= without_meta else None
        if fold.reported:
            window = Window((fold.validation or fold.test).start, fold.test.stop)
            base = scores(fold, window)
            stack = earlier.stack(meta, horizon, config)
            here = {name: series[window.slice] for name, series in regime.items()}
            forecast = FoldForecast(
                fold, window, stack, stack.p_up(base, here, base_rate[window.slice]), stack.scores(base, here),
                base_rate[window.slice],
            )  # fmt: skip
        for name, values in scores(fold, fold.test).items():
            oof[name][fold.test.slice] = values
        if meta is not None and len(fold.test):  # the test window of a future block is empty
            tested = {name: values[fold.test.slice] for name, values in oof.items()}
            meta_oof[fold.test.slice] = meta.scores(
                tested, {name: series[fold.test.slice] for name, series in regime.items()}
            )
        yield fold, meta, forecast


@dataclass(frozen=True)
class _Past:
    """The data that a fold may learn from: out-of-fold scores and labels of sessions before `stop`."""

    oof: Scores
    meta_oof: FloatArray
    regime: Scores
    labels: Labels
    stop: int

    def fit_meta(self, config: EnsembleConfig) -> MetaLearner | None:
        """A meta-learner, or None if no row has scores and a label."""
        base = {name: values[: self.stop] for name, values in self.oof.items()}
        median = self.labels.median[: self.stop]
        known = np.isfinite(next(iter(base.values()))) & np.isfinite(median)
        if not known.any():
            return None
        return fit_meta_learner(
            base,
            {name: series[: self.stop] for name, series in self.regime.items()},
            median,
            seeds=range(config.seed, config.seed + config.seeds),
            threads=config.threads,
        )

    def stack(self, meta: MetaLearner | None, horizon: int, config: EnsembleConfig) -> Stack:
        """Meta-learner or plain average, by `_meta_wins`, with a calibrator fitted on the same past."""
        plain = average({name: values[: self.stop] for name, values in self.oof.items()})
        stacked = self.meta_oof[: self.stop]
        wins, why = self._meta_wins(stacked, plain, horizon)
        scores, adjustment = stacked if wins else plain, None
        up, above_median = self.labels.up[: self.stop], self.labels.median[: self.stop]
        if config.regime_scale or config.regime_intercept:
            volatility = self.regime[VOLATILITY][: self.stop]
            adjustment = fit_adjustment(
                scores, volatility, up=up, above_median=above_median, scale=config.regime_scale,
                intercept=config.regime_intercept,
            )  # fmt: skip
            scores, why = adjustment.scaled(scores, volatility), f"{why}; {adjustment}"
        calibrator = fit_calibrator(
            config.calibration, scores, up=up, above_median=above_median, sessions=config.calibration_sessions
        )
        return Stack(tuple(self.oof), meta if wins else None, calibrator, why, adjustment)

    def _meta_wins(self, stacked: FloatArray, plain: FloatArray, horizon: int) -> tuple[bool, str]:
        """Whether the meta-learner's AUC is above the average's, and why; paired by session, on out-of-fold blocks of both."""
        labels = self.labels.median[: self.stop]
        both = np.isfinite(stacked) & np.isfinite(plain)
        difference = session_auc(np.where(both, stacked, np.nan), labels) - session_auc(
            np.where(both, plain, np.nan), labels
        )
        interval = mean_interval(difference, horizon=horizon, rule=_RULE)
        if not interval.defined:
            return False, f"plain average: {interval.blocks} blocks of out-of-fold scores are too few to judge stacking"
        spread = f"{interval.value:+.4f} [{interval.lower:+.4f}, {interval.upper:+.4f}]"
        if interval.lower > 0:
            return True, f"meta-learner: AUC against the average {spread}"
        return False, f"plain average: the meta-learner's AUC against it is {spread}"
