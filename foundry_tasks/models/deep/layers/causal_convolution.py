"""Causal convolution: a weighted sum of the last few steps of each unit."""

from typing import Unpack

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
from keras import ops

from foundry_tasks.models.deep.keras_types import LayerOptions, SavedConfig, Tensor
from foundry_tasks.models.deep.numpy_forward.xlstm_ts import TAPS


@keras.saving.register_keras_serializable(package="foundry")
class CausalConvolution(keras.layers.Layer):
    """Depthwise causal convolution: y_t = b + Σ_j w_j ⊙ x_{t−j}, j < kernel_size, with x = 0 before the first step.

    (batch, steps, units) → the same shape. A masked step counts as 0. Beck et al. (2024), figures 10 and 11.
    It is computed as a sum of shifted products, because the backends' depthwise convolutions differ in layout.
    """

    def __init__(self, *, kernel_size: int = TAPS, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the kernel, (kernel_size, units), latest step first, and the bias, (units,)."""
        spread = keras.initializers.RandomUniform(-(self.kernel_size**-0.5), self.kernel_size**-0.5)
        self.kernel = self.add_weight(shape=(self.kernel_size, input_shape[-1]), initializer=spread, name="kernel")
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """inputs: (batch, steps, units). mask: (batch, steps), False where a step counts as 0."""
        if mask is not None:
            inputs = inputs * ops.cast(ops.expand_dims(mask, -1), inputs.dtype)
        steps = inputs.shape[1]
        before = ops.pad(inputs, ((0, 0), (self.kernel_size - 1, 0), (0, 0)))
        kernel = ops.convert_to_tensor(self.kernel, dtype=self.compute_dtype)
        first = self.kernel_size - 1
        taps = (kernel[back] * before[:, first - back : first - back + steps] for back in range(self.kernel_size))
        return sum(taps, start=ops.convert_to_tensor(self.bias, dtype=self.compute_dtype))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal layer."""
        return {**super().get_config(), "kernel_size": self.kernel_size}
