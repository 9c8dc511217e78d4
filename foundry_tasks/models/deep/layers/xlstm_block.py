"""The two residual blocks of an xLSTM stack. Beck et al. (2024), figures 10 and 11."""

from typing import Literal, Unpack

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
from keras import ops

from foundry_tasks.models.deep.keras_types import LayerOptions, SavedConfig, Tensor
from foundry_tasks.models.deep.layers.block_diagonal import BlockDiagonalDense, in_parts
from foundry_tasks.models.deep.layers.causal_convolution import CausalConvolution
from foundry_tasks.models.deep.layers.head_norm import HeadNorm
from foundry_tasks.models.deep.layers.mlstm import MLSTM
from foundry_tasks.models.deep.layers.slstm import SLSTM
from foundry_tasks.models.deep.numpy_forward.xlstm_ts import HEADS, PROJECTION_BLOCK, feed_forward_units

Kind = Literal["slstm", "mlstm"]


@keras.saving.register_keras_serializable(package="foundry")
class XLSTMBlock(keras.layers.Layer):
    """x + f(norm(x)) with an sLSTM or an mLSTM in f: (batch, steps, width) → the same shape.

    "slstm": x + headnorm(sLSTM(norm x)), where gates i and f are computed from a causal convolution and z and o from the
    input itself; then a residual gated feed-forward. "mlstm": up-projection to 2 × width for the values and 2 × width for
    the gate; q and k from a causal convolution of the values, v from the values themselves; then head norm, plus a learned
    multiple of the convolution, times SiLU(gate); down-projection.

    heads must divide the width. dropout applies to the output of each branch. Masked steps do not affect later ones.
    """

    def __init__(self, *, kind: Kind, heads: int = HEADS, dropout: float = 0.0, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.heads = heads
        self.dropout = dropout
        self.supports_masking = True
        own: LayerOptions = {"dtype": self.dtype_policy}
        self.branches: list[keras.layers.Layer] = (
            [_SLSTMBranch(heads, **own), _FeedForward(**own)] if kind == "slstm" else [_MLSTMBranch(heads, **own)]
        )
        self.norms = [keras.layers.LayerNormalization(center=False, epsilon=1e-5, **own) for _ in self.branches]
        self.drop = keras.layers.Dropout(dropout, **own)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of norms and branches."""
        for layer in (*self.norms, *self.branches):
            layer.build(input_shape)

    def call(self, inputs: Tensor, mask: Tensor | None = None, training: bool = False) -> Tensor:
        """inputs: (batch, steps, width). mask: (batch, steps), False: skip the step. training: whether to apply dropout."""
        x = inputs
        for norm, branch in zip(self.norms, self.branches, strict=True):
            x = x + self.drop(branch(norm(x), mask=mask), training=training)
        return x

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal layer."""
        return {**super().get_config(), "kind": self.kind, "heads": self.heads, "dropout": self.dropout}


class _Branch(keras.layers.Layer):
    """(batch, steps, width) → the same shape. Its layers have the dtype policy of the branch and Keras' default names."""

    def __init__(self, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


class _SLSTMBranch(_Branch):
    def __init__(self, heads: int, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = input_shape[-1] or 0
        own: LayerOptions = {"dtype": self.dtype_policy}
        self.convolution = CausalConvolution(**own)
        self.input_and_forget = BlockDiagonalDense(blocks=self.heads, groups=2, **own)
        self.cell_and_output = BlockDiagonalDense(blocks=self.heads, groups=2, **own)
        self.slstm = SLSTM(width, heads=self.heads, **own)
        self.norm = HeadNorm(heads=self.heads, **own)
        for layer in (self.convolution, self.input_and_forget, self.cell_and_output, self.norm):
            layer.build(input_shape)
        self.slstm.build((*input_shape[:-1], 4 * width))

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        convolved = ops.silu(self.convolution(inputs, mask=mask))
        gates = ops.concatenate([self.input_and_forget(convolved), self.cell_and_output(inputs)], axis=-1)
        return self.norm(self.slstm(gates, mask=mask))


class _MLSTMBranch(_Branch):
    def __init__(self, heads: int, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = input_shape[-1] or 0
        own: LayerOptions = {"dtype": self.dtype_policy}
        inner = (*input_shape[:-1], 2 * width)
        blocks = in_parts(inner[-1], PROJECTION_BLOCK, "units a projection")
        self.up = keras.layers.Dense(4 * width, use_bias=False, **own)
        self.convolution = CausalConvolution(**own)
        self.query_and_key = BlockDiagonalDense(blocks=blocks, groups=2, **own)
        self.value = BlockDiagonalDense(blocks=blocks, groups=1, **own)
        self.mlstm = MLSTM(2 * width, heads=self.heads, **own)
        self.norm = HeadNorm(heads=self.heads, **own)
        self.skip = self.add_weight(shape=(2 * width,), initializer="ones", name="skip")
        self.down = keras.layers.Dense(width, use_bias=False, **own)
        self.up.build(input_shape)
        for layer in (self.convolution, self.query_and_key, self.value, self.norm, self.down):
            layer.build(inner)
        self.mlstm.build((*input_shape[:-1], 6 * width))

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        raw, gate = ops.split(self.up(inputs), 2, axis=-1)
        convolved = ops.silu(self.convolution(raw, mask=mask))
        qkv = ops.concatenate([self.query_and_key(convolved), self.value(raw)], axis=-1)
        skip = ops.convert_to_tensor(self.skip, dtype=self.compute_dtype)
        h = self.norm(self.mlstm(qkv, mask=mask)) + skip * convolved
        return self.down(h * ops.silu(gate))


class _FeedForward(_Branch):
    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = input_shape[-1] or 0
        own: LayerOptions = {"dtype": self.dtype_policy}
        hidden = feed_forward_units(width)
        self.up = keras.layers.Dense(2 * hidden, use_bias=False, **own)
        self.down = keras.layers.Dense(width, use_bias=False, **own)
        self.up.build(input_shape)
        self.down.build((*input_shape[:-1], hidden))

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002 - steps are independent of each other
        gate, value = ops.split(self.up(inputs), 2, axis=-1)
        return self.down(ops.gelu(gate) * value)
