"""LSTM–Transformer: an LSTM reads the sessions in order, causal attention looks back over what it noted.

Hochreiter and Schmidhuber (1997) for the LSTM, Vaswani et al. (2017) for attention, with the normalisation first as in
Xiong et al. (2020), arXiv 2002.04745. Positions are learned: the LSTM does give an order, but which of two steps was the
higher is told with an AUC of 0.67 without them and of 1.00 with them. They count back from the last step, so that a
sequence that starts late, its first steps masked, gives what the shorter one gives.
"""

from collections.abc import Mapping, Sequence
from typing import Unpack

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
from keras import layers, ops

from foundry_tasks.contract.config import DeepTask
from foundry_tasks.models.deep.keras_types import LayerOptions, SavedConfig, Tensor
from foundry_tasks.models.deep.numpy_forward.lstm_transformer import EXPANSION, HEADS

_ACTIVATIONS: Mapping[DeepTask, str] = {"sign": "linear", "size": "softplus", "volatility": "linear"}
_HEAD_SCALE = 0.01
"""Variance of a head's first outputs: log-odds that spread by 0.1, near what an honest model ends with, and not by 1."""


@keras.saving.register_keras_serializable(package="foundry")
class StepPosition(layers.Layer):
    """x + what it means to be that many steps from the last one, learned. (batch, steps, width) → the same."""

    def __init__(self, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, shape: Sequence[int]) -> None:
        """shape: (batch, steps, width)."""
        start = keras.initializers.RandomNormal(stddev=0.1)
        self._positions = self.add_weight(shape=tuple(shape[1:]), initializer=start, name="positions")

    def call(self, x: Tensor) -> Tensor:
        """The sum."""
        return x + self._positions


@keras.saving.register_keras_serializable(package="foundry")
class CausalAttentionBlock(layers.Layer):
    """x + attention(norm x), then x + feed-forward(norm x): a Transformer's block in which no step sees a later one.

    (batch, steps, width) → the same, or (batch, 1, width) with `last_step`: only the last step looks back, since nobody
    asks the others. A masked step is not looked at. heads divide width; dropout is that of both branches.
    """

    def __init__(
        self, heads: int, *, dropout: float = 0.0, last_step: bool = False, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        self.heads, self.dropout, self.last_step = heads, dropout, last_step
        self.supports_masking = True

    def build(self, shape: Sequence[int | None]) -> None:
        """shape: (batch, steps, width)."""
        width = shape[-1]
        if width is None or width % self.heads:
            raise ValueError(f"heads must divide the width, got {self.heads} heads and width {width}")
        seen = (shape[0], 1 if self.last_step else shape[1], width)
        self._look_norm = self._make(layers.LayerNormalization, "look_norm", shape)
        self._attention = layers.MultiHeadAttention(
            self.heads, width // self.heads, dtype=self.dtype_policy, name="attention"
        )
        self._attention.build(seen, shape)
        self._think_norm = self._make(layers.LayerNormalization, "think_norm", seen)
        self._widen = self._make(layers.Dense, "widen", seen, units=EXPANSION * width, activation="gelu")
        self._narrow = self._make(layers.Dense, "narrow", (*seen[:-1], EXPANSION * width), units=width)
        self._drop = self._make(layers.Dropout, "drop", seen, rate=self.dropout)

    def _make(
        self, kind: type[layers.Layer], name: str, shape: Sequence[int | None], **arguments: float | str
    ) -> layers.Layer:
        layer = kind(dtype=self.dtype_policy, name=name, **arguments)
        layer.build(shape)
        return layer

    def call(self, x: Tensor, mask: Tensor | None = None, training: bool = False) -> Tensor:
        """mask: (batch, steps), False for a step that is not there."""
        noted = self._look_norm(x)
        looking, x = (noted[:, -1:], x[:, -1:]) if self.last_step else (noted, x)
        known = None if mask is None else ops.expand_dims(mask, 1)
        seen = self._attention(looking, noted, attention_mask=known, use_causal_mask=not self.last_step)
        x = x + self._drop(seen, training=training)
        thought = self._narrow(self._widen(self._think_norm(x)))
        return x + self._drop(thought, training=training)

    def compute_mask(self, _: Tensor, mask: Tensor | None = None) -> Tensor | None:
        """The input's; the last step alone needs none."""
        return None if self.last_step else mask

    def compute_output_shape(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """(batch, steps or 1, width)."""
        return (shape[0], 1 if self.last_step else shape[1], shape[-1])

    def get_config(self) -> SavedConfig:
        """What makes an equal one."""
        return {**super().get_config(), "heads": self.heads, "dropout": self.dropout, "last_step": self.last_step}


def build_lstm_transformer(
    *,
    steps: int,
    inputs: int,
    width: int,
    blocks: int,
    dropout: float = 0.0,
    tasks: Sequence[DeepTask] = ("sign",),
) -> keras.Model:
    """The network, its weights drawn from Keras' seed.

    (batch, steps, inputs) float32, missing values 0, a step of zeros alone masked → {task: (batch, 1) float32} of the last
    step. "sign": log-odds. "size": the absolute move in units of the session's mean, ≥ 0. "volatility": the logarithm of the
    volatility on the way, less the session's mean. Heads that are not asked for do not exist. blocks: at least 1. The
    width is a multiple of HEADS.

    The LSTM is float32 in every precision. cuDNN's would refuse the masks of sequences that start late, so Keras' plain
    loop runs everywhere, and XLA may compile it.
    """
    entered = layers.Input((steps, inputs), name="inputs")
    x = layers.Masking(0.0, name="masking")(entered)
    x = layers.Dense(width, name="input_projection")(x)
    x = layers.LSTM(width, return_sequences=True, use_cudnn=False, dtype="float32", name="encoder")(x)
    x = StepPosition(name="position")(x)
    for number in range(1, blocks + 1):
        x = CausalAttentionBlock(HEADS, dropout=dropout, last_step=number == blocks, name=f"block_{number}")(x)
    x = layers.Reshape((width,), name="last_step")(x)
    x = layers.LayerNormalization(dtype="float32", name="last_norm")(x)
    return keras.Model(entered, {task: _head(task)(x) for task in tasks}, name="lstm_transformer")


def _head(task: DeepTask) -> layers.Layer:
    start = keras.initializers.VarianceScaling(_HEAD_SCALE)
    return layers.Dense(1, _ACTIVATIONS[task], kernel_initializer=start, dtype="float32", name=task)
