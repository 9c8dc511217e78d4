"""Normalisation per head, so that a head with large states does not dominate the others."""

from typing import Unpack

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
from keras import ops

from foundry_tasks.models.deep.keras_types import LayerOptions, SavedConfig, Tensor
from foundry_tasks.models.deep.layers.block_diagonal import in_parts


@keras.saving.register_keras_serializable(package="foundry")
class HeadNorm(keras.layers.Layer):
    """Group norm with one group per head, at each step: (x − mean) / √(variance + epsilon) · scale.

    (batch, steps, units) → the same shape; moments over the units of a head in float32, ddof=0. Wu and He (2018).
    Steps are independent of each other, so a mask passes through.
    """

    def __init__(self, *, heads: int, epsilon: float = 1e-5, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the scale, (units,). Raises ValueError if `heads` does not divide the units."""
        self.head_size = in_parts(input_shape[-1], self.heads, "heads")
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(self, inputs: Tensor) -> Tensor:
        """(batch, steps, units) → the same shape."""
        steps, units = inputs.shape[1:]
        x = ops.reshape(ops.cast(inputs, "float32"), (-1, steps, self.heads, self.head_size))
        x = x - ops.mean(x, axis=-1, keepdims=True)
        x = x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + self.epsilon)
        scaled = ops.reshape(x, (-1, steps, units)) * ops.convert_to_tensor(self.scale, dtype="float32")
        return ops.cast(scaled, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal layer."""
        return {**super().get_config(), "heads": self.heads, "epsilon": self.epsilon}
