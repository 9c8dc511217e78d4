"""mLSTM: a matrix memory, written by keys and read by queries, without recurrent weights. Beck et al. (2024), section 2.3.

    C_t = f_t C_{t−1} + i_t k_t v_tᵀ,   n_t = f_t n_{t−1} + i_t k_t,   h_t = C_tᵀ q_t / max(|n_t · q_t|, √d)

with i = exp(ĩ), f = σ(f̃). C, n and the denominator are stored in units of exp(m_t), the largest exponent so far. (The
paper divides the keys by √d and has 1 for √d in the maximum: the same h with one more pass over the keys.) The recurrence
is a weighted sum, so three forms give the same h: step by step (`mlstm_step`, constant memory), all steps at once
(`mlstm_parallel`, products of steps × steps), and chunks of steps with a state between them (`mlstm_chunked`, for long
sequences).

Shapes: q, k, v (batch, heads, steps, size); i, f (batch, heads, steps) pre-activations, float32; h as v. Matrix products
are computed in the dtype of q, everything else in float32.
"""

from typing import Unpack

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
import numpy as np
from keras import ops

from foundry_tasks.models.deep.keras_types import LayerOptions, SavedConfig, Tensor
from foundry_tasks.models.deep.layers.block_diagonal import in_parts

EPSILON = 1e-6
NOTHING_YET = -1e30
"""The stabiliser m before the first step: smaller than every exponent."""
_LARGEST_EXPONENT = 60.0
"""Upper bound of an exponent: its exp is finite in float32, and a quotient by it is negligible."""
_CLOSED, _OPEN = -1e30, 1e4
"""Input and forget gate of a masked step: it leaves the memory unchanged."""

State = tuple[Tensor, Tensor, Tensor]
"""C (batch, heads, size, size), n (batch, heads, size), m (batch, heads), float32."""


def mlstm_start(q: Tensor) -> State:
    """The state before the first step.

    q: (batch, heads, steps, size). C and n are 0, m is NOTHING_YET.
    """
    zero = ops.zeros_like(q[:, :, 0], dtype="float32")
    return zero[..., None] * zero[..., None, :], zero, zero[..., 0] + NOTHING_YET


def mlstm_step(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, state: State) -> tuple[Tensor, State]:
    """One step of the equations, for streams and as the reference of the other forms.

    q, k, v: (batch, heads, size); i, f: (batch, heads). Returns h (batch, heads, size) float32 and the next state.
    """
    memory, n, m = state
    q, k, v = (ops.cast(x, "float32") for x in (q, k, v))
    log_f = ops.log_sigmoid(f) + m
    m = ops.maximum(log_f, i)
    f_prime, i_prime = ops.exp(log_f - m)[..., None], ops.exp(i - m)[..., None]
    k = i_prime * k
    memory = f_prime[..., None] * memory + k[..., None] * v[..., None, :]
    n = f_prime * n + k
    numerator = ops.einsum("bhde,bhd->bhe", memory, q)
    return numerator * _normaliser(ops.sum(n * q, axis=-1), -m, q.shape[-1]), (memory, n, m)


def mlstm_parallel(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
    """All steps at once; memory grows with steps².

    q, k, v: (batch, heads, steps, size). i, f: (batch, heads, steps). Returns h (batch, heads, steps, size).
    """
    return _read_chunk(q, k, v, *_exponents(i, f), None)


def mlstm_chunked(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, *, chunk_size: int) -> Tensor:
    """The parallel form within chunks, with a state between them; memory grows with steps · chunk_size.

    Shapes as in `mlstm_parallel`. chunk_size: in steps; the last chunk may be shorter.
    """
    outputs, state = [], None
    steps = q.shape[2]
    for first in range(0, steps, chunk_size):
        q_, k_, v_, i_, f_ = (x[:, :, first : first + chunk_size] for x in (q, k, v, i, f))
        a, log_forgotten = _exponents(i_, f_)
        outputs.append(_read_chunk(q_, k_, v_, a, log_forgotten, state))
        if first + chunk_size < steps:
            state = _write_chunk(k_, v_, a, log_forgotten, state)
    return outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=2)


def _exponents(i: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    """a_j = ĩ_j − F_j and F_t = Σ_{j ≤ t} log σ(f̃_j). At step t, the weight of k_j v_jᵀ in C_t is exp(F_t + a_j)."""
    log_forgotten = ops.cumsum(ops.log_sigmoid(ops.cast(f, "float32")), axis=-1)
    return ops.cast(i, "float32") - log_forgotten, log_forgotten


def _read_chunk(q: Tensor, k: Tensor, v: Tensor, a: Tensor, log_forgotten: Tensor, state: State | None) -> Tensor:
    """h of the steps of a chunk. exp(F_t) cancels in h_t, so the unit is exp(μ_t) with μ_t = max_{j ≤ t} a_j; m = F + μ.

    h does not depend on the unit, so the gradient treats it as a constant. The unit needs a running maximum of a, not a
    maximum over the matrix D of steps × steps, which would dominate the time of this form. The gradient treats the weights
    as constants too: a gets its gradient through exp(a − fixed) on its key, a sum over `size` numbers, rather than
    through its column of the scores.
    """
    dtype = q.dtype
    fixed = ops.stop_gradient(a)
    k = k * ops.cast(ops.exp(a - fixed), dtype)[..., None]
    largest = _running_maximum(fixed)
    if state is not None:
        largest = ops.maximum(largest, ops.stop_gradient(state[2])[..., None])
    # The mask is added first: the backends are fast if only one operand is broadcast at a time.
    weights = ops.exp(fixed[..., None, :] + _causal(a.shape[-1]) - largest[..., None])
    scores = ops.matmul(q, ops.swapaxes(k, -1, -2)) * ops.cast(weights, dtype)
    numerator = ops.cast(ops.matmul(scores, v), "float32")
    total = ops.sum(ops.cast(scores, "float32"), axis=-1)
    if state is not None:
        memory, n, m = state
        kept = ops.cast(q, "float32") * ops.exp(m[..., None] - largest)[..., None]
        numerator += ops.cast(ops.matmul(ops.cast(kept, dtype), ops.cast(memory, dtype)), "float32")
        total += ops.einsum("bhtd,bhd->bht", kept, n)
    return ops.cast(numerator * _normaliser(total, -log_forgotten - largest, q.shape[-1]), dtype)


def _write_chunk(k: Tensor, v: Tensor, a: Tensor, log_forgotten: Tensor, state: State | None) -> State:
    """The state after a chunk. state: the one before it; None: the start."""
    largest = ops.max(a, axis=-1)
    if state is not None:
        largest = ops.maximum(largest, state[2])
    largest = ops.stop_gradient(largest)
    written = ops.cast(k, "float32") * ops.exp(a - largest[..., None])[..., None]
    memory = ops.cast(ops.matmul(ops.swapaxes(ops.cast(written, v.dtype), -1, -2), v), "float32")
    n = ops.sum(written, axis=-2)
    if state is not None:
        kept = ops.exp(state[2] - largest)[..., None]
        memory, n = memory + kept[..., None] * state[0], n + kept * state[1]
    return memory, n, log_forgotten[..., -1] + largest


def _normaliser(total: Tensor, exponent: Tensor, size: int) -> Tensor:
    """1 / max(|n · q|, √d) in units of exp(m). total: n · q. exponent: −m. Adds a last axis of length 1."""
    floor = ops.exp(ops.minimum(exponent, _LARGEST_EXPONENT))
    return ops.expand_dims(size**-0.5 / (ops.maximum(ops.abs(total) * size**-0.5, floor) + EPSILON), -1)


def _running_maximum(a: Tensor) -> Tensor:
    """max over j ≤ t along the last axis, in log₂(steps) passes."""
    shift = 1
    while shift < a.shape[-1]:
        a = ops.maximum(a, ops.concatenate([a[..., :shift], a[..., :-shift]], axis=-1))
        shift *= 2
    return a


def _causal(steps: int) -> Tensor:
    return ops.convert_to_tensor(np.where(np.tri(steps), 0.0, -np.inf).astype(np.float32))


@keras.saving.register_keras_serializable(package="foundry")
class MLSTM(keras.layers.Layer):
    """mLSTM over all steps: (batch, steps, 3 · units), q, k and v concatenated → (batch, steps, units).

    The gates are linear in q, k and v. Their kernels start at zero, so at first the gates equal their biases: 0 for the
    input gate, +3 to +6 over the heads for the forget gate. Up to `chunk_size` steps are computed in parallel, more in
    chunks. A masked step leaves the memory unchanged. Raises ValueError if `heads` does not divide `units`.
    """

    def __init__(self, units: int, *, heads: int, chunk_size: int = 64, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.heads = heads
        self.chunk_size = chunk_size
        self.head_size = in_parts(units, heads, "heads")
        self.supports_masking = True
        self.gates = keras.layers.Dense(
            2 * heads, kernel_initializer="zeros", bias_initializer=_gate_bias, dtype="float32", name="gates"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of the gates."""
        self.gates.build(input_shape)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """inputs: (batch, steps, 3 · units). mask: (batch, steps), False where a step is skipped."""
        steps = inputs.shape[1]
        gates = ops.transpose(ops.reshape(self.gates(inputs), (-1, steps, 2, self.heads)), (2, 0, 3, 1))
        i, f = gates[0], gates[1]
        if mask is not None:
            seen = ops.expand_dims(mask, 1)
            i, f = ops.where(seen, i, _CLOSED), ops.where(seen, f, _OPEN)
        heads = ops.reshape(inputs, (-1, steps, 3, self.heads, self.head_size))
        q, k, v = (ops.transpose(heads[:, :, part], (0, 2, 1, 3)) for part in range(3))
        h = mlstm_chunked(q, k, v, i, f, chunk_size=self.chunk_size)
        return ops.reshape(ops.transpose(h, (0, 2, 1, 3)), (-1, steps, self.units))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, steps, units)."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal layer."""
        return {**super().get_config(), "units": self.units, "heads": self.heads, "chunk_size": self.chunk_size}


def _gate_bias(shape: tuple[int], dtype: str | None = None) -> Tensor:
    """(2 · heads,): input gates 0, forget gates +3 … +6 over the heads."""
    heads = shape[0] // 2
    return ops.cast(ops.concatenate([ops.zeros(heads), ops.linspace(3.0, 6.0, heads)]), dtype or "float32")
