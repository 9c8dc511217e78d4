"""Linear maps within blocks of units: the output of a block depends on that block alone, such as a head of a recurrent network.

They are computed as one matrix product with zeros outside the blocks: at the widths that are used here a batch of small
products takes longer.
"""

from typing import Unpack

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
from keras import ops

from foundry_tasks.models.deep.keras_types import LayerOptions, SavedConfig, Tensor


def block_diagonal(kernel: Tensor) -> Tensor:
    """A kernel as one matrix, zero between different blocks.

    kernel: (blocks, inputs, groups, outputs). Returns (blocks · inputs, groups · blocks · outputs).
    """
    blocks, inputs, groups, outputs = kernel.shape
    own = ops.reshape(ops.eye(blocks, dtype=kernel.dtype), (blocks, 1, 1, blocks, 1))
    return ops.reshape(ops.expand_dims(kernel, 3) * own, (blocks * inputs, groups * blocks * outputs))


@keras.saving.register_keras_serializable(package="foundry")
class BlockDiagonalDense(keras.layers.Layer):
    """`groups` linear maps of the same input, each within blocks, without bias.

    (batch, steps, width) → (batch, steps, groups · width). Steps are independent of each other, so a mask passes through.
    """

    def __init__(self, *, blocks: int, groups: int, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.blocks = blocks
        self.groups = groups
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the kernel, (blocks, inputs of a block, groups, outputs of a block).

        Raises ValueError if `blocks` does not divide the width.
        """
        size = in_parts(input_shape[-1], self.blocks, "blocks")
        # The fan-in is that of one block; Keras cannot derive it from the shape of the kernel.
        deviation = keras.initializers.RandomNormal(stddev=size**-0.5)
        self.kernel = self.add_weight(
            shape=(self.blocks, size, self.groups, size), initializer=deviation, name="kernel"
        )

    def call(self, inputs: Tensor) -> Tensor:
        """(batch, steps, width) → (batch, steps, groups · width)."""
        return ops.matmul(inputs, block_diagonal(ops.convert_to_tensor(self.kernel, dtype=self.compute_dtype)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, steps, groups · width)."""
        return (*input_shape[:-1], self.groups * (input_shape[-1] or 0))

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal layer."""
        return {**super().get_config(), "blocks": self.blocks, "groups": self.groups}


def in_parts(units: int | None, parts: int, what: str) -> int:
    """Units of one part. what: the name of the parts in the error. Raises ValueError if `parts` does not divide `units`."""
    if not units or units % parts:
        raise ValueError(
            f"units must be a multiple of {what}, got {units} units and {parts} {what}. Change one of them."
        )
    return units // parts
