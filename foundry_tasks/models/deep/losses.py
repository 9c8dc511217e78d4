"""What deep models minimise, by name.

Every loss takes the rows of whole sessions. y_true: (batch, 2), the target and the number of the row's session within the
batch, 0 … batch − 1. The sign's target is 0 or 1, since rows without one never get here; those of other tasks are any
number, NaN where there is none. y_pred: (batch, 1), of the sign log-odds s. All is computed in float32, whatever the
network's precision, and no gradient is NaN where every score is the same.

A log-odds forecasts the signed target 2y − 1 by 2σ(s) − 1 = tanh(s / 2). The directional losses compare those two, so
that a score is a log-odds under every loss.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Unpack

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
from keras import ops

from foundry_tasks.contract.config import DeepLoss, DeepTask
from foundry_tasks.models.deep.keras_types import LossOptions, SavedConfig, Tensor

MIN_DEVIATION = 1e-3
"""Log-odds of a session that spread less are divided by this, not by their spread: a gradient stays finite."""
_TINY = 1e-12

registered = keras.saving.register_keras_serializable(package="foundry")


@registered
class CrossEntropy(keras.losses.Loss):
    """Binary cross-entropy, −log σ(s) for y = 1 and −log σ(−s) for y = 0, in nats. Returns (batch,)."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """A value a row."""
        return ops.binary_crossentropy(y_true[:, 0], y_pred[:, 0], from_logits=True)


@registered
class SessionCorrelation(keras.losses.Loss):
    """1 − mean over sessions of Pearson's correlation of score and target within each, from 0 to 2.

    What it learns is an order of the session's tickers: adding a number to a session's scores, or multiplying them by a
    positive one, changes nothing as long as they spread by more than MIN_DEVIATION. Sessions of one class, or of one row,
    are left out; where no session is left it is 1 and has no gradient.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value for the batch."""
        target, session, score = y_true[:, 0], ops.cast(y_true[:, 1], "int32"), y_pred[:, 0]
        most = ops.shape(target)[0]
        count = ops.maximum(ops.segment_sum(ops.ones_like(target), session, num_segments=most), 1.0)

        def mean(values: Tensor) -> Tensor:
            return ops.segment_sum(values, session, num_segments=most) / count

        target = target - ops.take(mean(target), session)
        score = score - ops.take(mean(score), session)
        target_variance, score_variance = mean(target * target), mean(score * score)
        decided = ops.cast(target_variance > _TINY, score.dtype)
        # max(·, ·) has no gradient on the side that it does not take, where a square root's would be infinite.
        scale = ops.sqrt(ops.maximum(target_variance, _TINY)) * ops.sqrt(ops.maximum(score_variance, MIN_DEVIATION**2))
        correlation = decided * mean(score * target) / scale
        return 1.0 - ops.sum(correlation) / ops.maximum(ops.sum(decided), 1.0)


@registered
class CrossEntropyCorrelation(keras.losses.Loss):
    """CrossEntropy + weight · SessionCorrelation.

    The correlation orders a session's tickers and leaves the scores' scale and mean open; cross-entropy settles those,
    so that they are log-odds. Per row the gradients are about ½ and weight / (2 · spread of the scores): with an honest
    spread of 0.05, weight 0.1 gives the order twice as much to say.
    """

    def __init__(self, weight: float = 0.1, **kwargs: Unpack[LossOptions]) -> None:
        super().__init__(**kwargs)
        self.weight = weight
        self._cross_entropy, self._correlation = CrossEntropy(), SessionCorrelation()

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value for the batch."""
        return self._cross_entropy(y_true, y_pred) + self.weight * self._correlation(y_true, y_pred)

    def get_config(self) -> SavedConfig:
        """What makes an equal one."""
        return {**super().get_config(), "weight": self.weight}


@registered
class DirectionalHuber(keras.losses.Loss):
    """Huber's loss of the signed target, larger where the sign is wrong.

    H(e) · (1 + direction_weight · [sign t ≠ sign f]) with target t = 2y − 1, forecast f = tanh(s / 2), e = t − f, and
    H(e) = ½e² for |e| ≤ delta, else delta · (|e| − ½ delta). Returns (batch,). Formula and defaults are those of
    github.com/Thunderboltdy-10/ai-stocks (models/lstm_transformer_paper.py), which forecasts returns; taking log-odds is ours.
    """

    def __init__(self, delta: float = 1.0, direction_weight: float = 0.1, **kwargs: Unpack[LossOptions]) -> None:
        super().__init__(**kwargs)
        self.delta, self.direction_weight = delta, direction_weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """A value a row."""
        target, forecast = _signed(y_true, y_pred)
        huber = _huber(target - forecast, self.delta)
        wrong = ops.cast(target * forecast <= 0, huber.dtype)
        return huber * (1.0 + self.direction_weight * wrong)

    def get_config(self) -> SavedConfig:
        """What makes an equal one."""
        return {**super().get_config(), "delta": self.delta, "direction_weight": self.direction_weight}


@registered
class AntiCollapseDirectional(DirectionalHuber):
    """DirectionalHuber and a penalty where the batch's forecasts hardly spread.

    mean(DirectionalHuber) + spread_weight · max(0, 1 − sd(f) / (min_spread · sd(t)))². The system named above penalises
    a spread below a fixed number; a share of the target's is ours, and its default is what a forecast with a correlation
    of 0.02 spreads. Left out is its third term, for a share of "up" other than one half: it has no gradient, and
    such a share is no collapse.
    """

    def __init__(self, min_spread: float = 0.02, spread_weight: float = 0.1, **kwargs: Unpack[LossOptions]) -> None:
        super().__init__(**kwargs)
        self.min_spread, self.spread_weight = min_spread, spread_weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value for the batch."""
        target, forecast = _signed(y_true, y_pred)
        wanted = ops.maximum(self.min_spread * ops.std(target), _TINY)
        spread = ops.sqrt(ops.var(forecast) + _TINY)
        missing = ops.maximum(1.0 - spread / wanted, 0.0)
        return ops.mean(super().call(y_true, y_pred)) + self.spread_weight * missing * missing

    def get_config(self) -> SavedConfig:
        """What makes an equal one."""
        return {**super().get_config(), "min_spread": self.min_spread, "spread_weight": self.spread_weight}


def _signed(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Target and forecast between −1 and 1, (batch,) each."""
    return 2.0 * y_true[:, 0] - 1.0, ops.tanh(0.5 * y_pred[:, 0])


@registered
class HuberWhereKnown(keras.losses.Loss):
    """Huber's loss of a move's size or volatility, H(e) as above with delta 1; 0 for a row without a target. Returns (batch,).

    Moves have fat tails, and a row's gradient is at most 1.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """A value a row."""
        target, forecast = y_true[:, 0], y_pred[:, 0]
        return _huber(ops.where(ops.isfinite(target), target - forecast, 0.0), 1.0)


def _huber(error: Tensor, delta: float) -> Tensor:
    distance = ops.abs(error)
    near = ops.minimum(distance, delta)
    return near * (distance - 0.5 * near)


_LOSSES: Mapping[DeepLoss, Callable[[], keras.losses.Loss]] = {
    "cross_entropy": CrossEntropy,
    "cross_entropy_correlation": CrossEntropyCorrelation,
    "directional_huber": DirectionalHuber,
    "anti_collapse_directional": AntiCollapseDirectional,
}


def loss_named(name: DeepLoss) -> keras.losses.Loss:
    """The loss that `deep_loss` names, for the log-odds of a network's "sign"."""
    return _LOSSES[name]()


def losses_of(tasks: Sequence[DeepTask], name: DeepLoss) -> dict[DeepTask, keras.losses.Loss]:
    """Task → its loss, the sign's as `deep_loss` names it."""
    return {task: loss_named(name) if task == "sign" else HuberWhereKnown() for task in tasks}
