"""sLSTM: a recurrent network with exponential gates, which can overwrite its memory. Beck et al. (2024), section 2.2.

Exponentials can overflow, so the states are stored in units of exp(m) (m is the stabiliser) and in float32 under every
dtype policy. The output depends on c / n, in which the unit cancels, so the gradient treats m as a constant.
"""

from typing import Unpack

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
from keras import ops

from foundry_tasks.models.deep.keras_types import LayerOptions, SavedConfig, Tensor
from foundry_tasks.models.deep.layers.block_diagonal import block_diagonal, in_parts

GATES = 4
"""Number of gates, in this order: input i, forget f, cell input z, output o."""
NOTHING_YET = -1e30
"""The stabiliser m before the first step: smaller than every exponent."""

State = tuple[Tensor, Tensor, Tensor, Tensor]
"""(h, c, n, m), each (batch, units) float32: output, memory, normaliser, and stabiliser, the logarithm of the unit."""


def slstm_step(gates: Tensor, state: State) -> State:
    """One step of the recurrence; equations (8)–(17) of the paper, with σ as the forget gate.

    gates: (batch, 4 · units) pre-activations with the recurrent part and the bias, float32.
    """
    _, c, n, m = state
    i, f, z, o = ops.split(gates, GATES, axis=-1)
    log_f = ops.log_sigmoid(f) + m
    m = ops.stop_gradient(ops.maximum(i, log_f))
    i_prime, f_prime = ops.exp(i - m), ops.exp(log_f - m)
    c = f_prime * c + i_prime * ops.tanh(z)
    n = f_prime * n + i_prime
    return ops.sigmoid(o) * c / n, c, n, m


@keras.saving.register_keras_serializable(package="foundry")
class SLSTMCell(keras.layers.Layer):
    """The recurrent cell of an sLSTM, for `keras.layers.RNN`: g̃_t = W x_t + R h_{t−1} + b. The cell's input is W x_t.

    inputs: (batch, 4 · units), ordered by gate, then head, then unit of the head. R is block-diagonal by head and starts
    at zero, so the network first learns from its inputs. Initial forget biases fall from +5 to −7 over the units of a head,
    from a long memory to none. Weights: `recurrent_kernel` (heads, unit in, 4, unit out), `bias` (heads, 4, unit). Raises
    ValueError if `heads` does not divide `units`.
    """

    def __init__(self, units: int, *, heads: int, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.units = units
        self.heads = heads
        self.head_size = in_parts(units, heads, "heads")
        self.state_size = [units] * 4
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:  # noqa: ARG002 - Keras' signature
        """Create `recurrent_kernel` and `bias`."""
        size = self.head_size
        self.recurrent_kernel = self.add_weight(
            shape=(self.heads, size, GATES, size), initializer="zeros", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(self.heads, GATES, size), initializer=_forget_bias, name="bias")

    def get_initial_state(self, batch_size: int | Tensor) -> list[Tensor]:
        """The state before the first step."""
        zero = ops.zeros((batch_size, self.units))
        return [zero, zero, zero, zero + NOTHING_YET]

    def call(self, inputs: Tensor, states: State) -> tuple[Tensor, list[Tensor]]:
        """One step. inputs: (batch, 4 · units). states: h, c, n, m, each (batch, units). Returns h and the new states."""
        recurrent = ops.matmul(states[0], block_diagonal(ops.convert_to_tensor(self.recurrent_kernel)))
        bias = ops.reshape(ops.transpose(self.bias, (1, 0, 2)), (-1,))
        state = slstm_step(inputs + recurrent + bias, states)
        return state[0], list(state)

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal layer."""
        return {**super().get_config(), "units": self.units, "heads": self.heads}


@keras.saving.register_keras_serializable(package="foundry")
class SLSTM(keras.layers.Layer):
    """The cell over all steps: (batch, steps, 4 · units) gate inputs → (batch, steps, units) outputs.

    The caller computes W x_t, one product for all steps; only R h_{t−1} is computed step by step. A masked step repeats the
    state and the output of the step before. Computed in float32; the output has the dtype of the policy.
    """

    def __init__(self, units: int, *, heads: int, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.heads = heads
        self.supports_masking = True
        self.scan = keras.layers.RNN(SLSTMCell(units, heads=heads), return_sequences=True, dtype="float32", name="scan")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of the cell."""
        self.scan.build(input_shape)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """inputs: (batch, steps, 4 · units). mask: (batch, steps), False where a step is skipped."""
        return ops.cast(self.scan(inputs, mask=mask), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, steps, units)."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal layer."""
        return {**super().get_config(), "units": self.units, "heads": self.heads}


def _forget_bias(shape: tuple[int, int, int], dtype: str | None = None) -> Tensor:
    """(heads, 4, units of a head): 5 − 12 u^0.3 for the forget gate, u = 0 … 1 over a head, as in the reference; else 0."""
    heads, _, size = shape
    unit = ops.arange(size, dtype="float32") / max(size - 1, 1)
    forget = 5.0 - 12.0 * unit**0.3
    gate = ops.reshape(ops.one_hot(1, GATES), (1, GATES, 1))
    return ops.cast(ops.tile(gate * forget, (heads, 1, 1)), dtype or "float32")
