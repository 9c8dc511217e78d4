"""Linear maps within blocks of units: each block sees itself alone, which is what a head of a recurrent network is.

One matrix product with zeros outside the blocks: at the widths of daily stock data a batch of small products costs more.
"""

from typing import Unpack

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
from keras import ops

from foundry_tasks.models.deep.keras_types import LayerOptions, SavedConfig, Tensor


def block_diagonal(kernel: Tensor) -> Tensor:
    """(blocks, inputs, groups, outputs) → (blocks · inputs, groups · blocks · outputs), zero between different blocks."""
    blocks, inputs, groups, outputs = kernel.shape
    own = ops.reshape(ops.eye(blocks, dtype=kernel.dtype), (blocks, 1, 1, blocks, 1))
    return ops.reshape(ops.expand_dims(kernel, 3) * own, (blocks * inputs, groups * blocks * outputs))


@keras.saving.register_keras_serializable(package="foundry")
class BlockDiagonalDense(keras.layers.Layer):
    """`groups` linear maps of the same input, each of them within blocks, without bias.

    (batch, steps, width) → (batch, steps, groups · width). A step sees itself alone, so a mask passes through.
    """

    def __init__(self, *, blocks: int, groups: int, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.blocks = blocks
        self.groups = groups
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the kernel, (blocks, inputs of a block, groups, outputs of a block).

        Raises ValueError where `blocks` does not divide the width.
        """
        size = in_parts(input_shape[-1], self.blocks, "blocks")
        # The fan is a block's own, which the kernel's shape does not tell.
        deviation = keras.initializers.RandomNormal(stddev=size**-0.5)
        self.kernel = self.add_weight(
            shape=(self.blocks, size, self.groups, size), initializer=deviation, name="kernel"
        )

    def call(self, inputs: Tensor) -> Tensor:
        """(batch, steps, width) → (batch, steps, groups · width)."""
        return ops.matmul(inputs, block_diagonal(ops.convert_to_tensor(self.kernel, dtype=self.compute_dtype)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The last axis times `groups`."""
        return (*input_shape[:-1], self.groups * (input_shape[-1] or 0))

    def get_config(self) -> SavedConfig:
        """The arguments, for a saved model."""
        return {**super().get_config(), "blocks": self.blocks, "groups": self.groups}


def in_parts(units: int | None, parts: int, what: str) -> int:
    """Units of one part. Raises ValueError where they cannot be shared out evenly."""
    if not units or units % parts:
        raise ValueError(
            f"units must be a multiple of {what}, got {units} units and {parts} {what}. Change one of them."
        )
    return units // parts
