"""Losses of deep models, by name.

A batch holds the rows of whole sessions. y_true: (batch, 2), the target and the number of the row's session within the
batch, 0 … batch − 1. The target of the sign is 0 or 1 (rows without one are not in a batch); the target of another task
is a number, NaN if unknown. y_pred: (batch, 1), log-odds s for the sign. Losses are computed in float32 in every
precision of the network. Gradients are finite even if all scores are equal.

A log-odds s forecasts the signed target 2y − 1 by 2σ(s) − 1 = tanh(s / 2). The directional losses compare these two, so
the score is a log-odds under every loss.
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
"""Lower bound of the standard deviation of a session's log-odds in the denominator, which keeps the gradient finite."""
_TINY = 1e-12

registered = keras.saving.register_keras_serializable(package="foundry")


@registered
class CrossEntropy(keras.losses.Loss):
    """Binary cross-entropy, −log σ(s) for y = 1 and −log σ(−s) for y = 0, in nats. Returns (batch,)."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value per row, (batch,)."""
        return ops.binary_crossentropy(y_true[:, 0], y_pred[:, 0], from_logits=True)


@registered
class SessionCorrelation(keras.losses.Loss):
    """1 − mean over sessions of the Pearson correlation of score and target within the session, in [0, 2].

    The loss depends on the order and relative distances of a session's scores only: adding a constant to them, or
    multiplying them by a positive one, does not change it as long as their deviation is above MIN_DEVIATION. Sessions with
    one class or one row are left out. If no session is left, the loss is 1 and its gradient 0.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value for the batch, a scalar."""
        target, session, score = y_true[:, 0], ops.cast(y_true[:, 1], "int32"), y_pred[:, 0]
        most = ops.shape(target)[0]
        count = ops.maximum(ops.segment_sum(ops.ones_like(target), session, num_segments=most), 1.0)

        def mean(values: Tensor) -> Tensor:
            return ops.segment_sum(values, session, num_segments=most) / count

        target = target - ops.take(mean(target), session)
        score = score - ops.take(mean(score), session)
        target_variance, score_variance = mean(target * target), mean(score * score)
        decided = ops.cast(target_variance > _TINY, score.dtype)
        # The gradient of the square root is infinite at 0; max passes no gradient to the argument that it does not return.
        scale = ops.sqrt(ops.maximum(target_variance, _TINY)) * ops.sqrt(ops.maximum(score_variance, MIN_DEVIATION**2))
        correlation = decided * mean(score * target) / scale
        return 1.0 - ops.sum(correlation) / ops.maximum(ops.sum(decided), 1.0)


@registered
class CrossEntropyCorrelation(keras.losses.Loss):
    """CrossEntropy + weight · SessionCorrelation.

    The correlation depends on the order of a session's tickers and not on the scale and mean of the scores; cross-entropy
    determines these, so the scores are log-odds. The gradients per row are about ½ for cross-entropy and
    weight / (2 · sd(s)) for the correlation: with weight 0.1 and sd(s) = 0.05, a realistic value, the second is twice the first.
    """

    def __init__(self, weight: float = 0.1, **kwargs: Unpack[LossOptions]) -> None:
        super().__init__(**kwargs)
        self.weight = weight
        self._cross_entropy, self._correlation = CrossEntropy(), SessionCorrelation()

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value for the batch, a scalar."""
        return self._cross_entropy(y_true, y_pred) + self.weight * self._correlation(y_true, y_pred)

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal loss."""
        return {**super().get_config(), "weight": self.weight}


@registered
class DirectionalHuber(keras.losses.Loss):
    """Huber loss of the signed target, larger if the sign of the forecast is wrong.

    H(e) · (1 + direction_weight · [sign t ≠ sign f]) with target t = 2y − 1, forecast f = tanh(s / 2), e = t − f, and
    H(e) = ½e² for |e| ≤ delta, else delta · (|e| − ½ delta). Returns (batch,). Formula and defaults are those of
    github.com/Thunderboltdy-10/ai-stocks (models/lstm_transformer_paper.py). That loss forecasts returns; this one
    takes log-odds.
    """

    def __init__(self, delta: float = 1.0, direction_weight: float = 0.1, **kwargs: Unpack[LossOptions]) -> None:
        super().__init__(**kwargs)
        self.delta, self.direction_weight = delta, direction_weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value per row, (batch,)."""
        target, forecast = _signed(y_true, y_pred)
        huber = _huber(target - forecast, self.delta)
        wrong = ops.cast(target * forecast <= 0, huber.dtype)
        return huber * (1.0 + self.direction_weight * wrong)

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal loss."""
        return {**super().get_config(), "delta": self.delta, "direction_weight": self.direction_weight}


@registered
class AntiCollapseDirectional(DirectionalHuber):
    """DirectionalHuber plus a penalty for a small dispersion of the batch's forecasts.

    mean(DirectionalHuber) + spread_weight · max(0, 1 − sd(f) / (min_spread · sd(t)))². Differences to the source of
    DirectionalHuber: it penalises a deviation below a fixed number, this loss one below a share of the target's deviation.
    The default share is the deviation of a forecast whose correlation with the target is 0.02. Its third term penalises a
    share of "up" other than one half; it is left out, as it has no gradient and such a share is no collapse.
    """

    def __init__(self, min_spread: float = 0.02, spread_weight: float = 0.1, **kwargs: Unpack[LossOptions]) -> None:
        super().__init__(**kwargs)
        self.min_spread, self.spread_weight = min_spread, spread_weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value for the batch, a scalar."""
        target, forecast = _signed(y_true, y_pred)
        wanted = ops.maximum(self.min_spread * ops.std(target), _TINY)
        spread = ops.sqrt(ops.var(forecast) + _TINY)
        missing = ops.maximum(1.0 - spread / wanted, 0.0)
        return ops.mean(super().call(y_true, y_pred)) + self.spread_weight * missing * missing

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal loss."""
        return {**super().get_config(), "min_spread": self.min_spread, "spread_weight": self.spread_weight}


def _signed(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Signed target 2y − 1 and forecast tanh(s / 2), in [−1, 1], (batch,) each."""
    return 2.0 * y_true[:, 0] - 1.0, ops.tanh(0.5 * y_pred[:, 0])


@registered
class HuberWhereKnown(keras.losses.Loss):
    """Huber loss of the size or volatility of a move, H(e) of DirectionalHuber with delta = 1; 0 for a row without a target.

    Returns (batch,). Moves have fat tails; the loss bounds the gradient of a row by 1.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value per row, (batch,)."""
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
    """The loss named by the conf key `deep_loss`, for the log-odds of the head "sign"."""
    return _LOSSES[name]()


def losses_of(tasks: Sequence[DeepTask], name: DeepLoss) -> dict[DeepTask, keras.losses.Loss]:
    """Task → loss. name: the conf key `deep_loss`, for the task "sign"; the other tasks use HuberWhereKnown."""
    return {task: loss_named(name) if task == "sign" else HuberWhereKnown() for task in tasks}
