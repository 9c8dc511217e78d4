"""Cost of the xLSTM layers compared with a lower bound: a training step at batch 512 × 60 steps × 64 units.

    python -m benchmarks.xlstm_layers [ROUNDS]              # KERAS_BACKEND=jax for the other backend

sLSTM: a Keras model of one layer, compared with the recurrence in plain backend code, same products, same update.
mLSTM: value and gradient of the parallel form, compared with its two products Q Kᵀ and S V and their gradients.
Turns alternate, so that a busy machine slows both equally. The ratio is the median of the turns' ratios.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
import numpy as np
from keras import ops

from foundry_tasks.models.deep.layers.block_diagonal import block_diagonal
from foundry_tasks.models.deep.layers.mlstm import mlstm_chunked, mlstm_parallel
from foundry_tasks.models.deep.layers.slstm import SLSTM

BATCH, STEPS, UNITS, HEADS = 512, 60, 64, 2
BAR = 1.3


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{keras.backend.backend()}, batch {BATCH} × {STEPS} steps × {UNITS} units, {HEADS} heads, {rounds} rounds")
    compare("sLSTM", {name: training_step(layer) for name, layer in slstm_layers().items()}, rounds)
    for size in (UNITS // HEADS, 2 * UNITS // HEADS):
        compare(f"mLSTM, heads of {size}", mlstm_steps(size), rounds)


def compare(what: str, steps: Mapping[str, Callable[[], Any]], rounds: int) -> None:
    """Measure in turns. The first is the baseline."""
    for step in steps.values():
        step()
    turns = [{name: seconds(step) for name, step in steps.items()} for _ in range(rounds)]
    floor = next(iter(steps))
    for name in steps:
        median_ms = 1e3 * statistics.median(turn[name] for turn in turns)
        ratio = statistics.median(turn[name] / turn[floor] for turn in turns)
        print(f"{what:<20}{name:<28}{median_ms:>8.1f} ms{ratio:>7.2f} ×")


def seconds(step: Callable[[], Any]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def training_step(layer: keras.layers.Layer) -> Callable[[], Any]:
    """Forward, backward and update of: all W x as one product, the layer, the head of the last step."""
    window = keras.Input((STEPS, UNITS))
    h = layer(keras.layers.Dense(4 * UNITS)(window))
    model = keras.Model(window, keras.layers.Dense(1)(h[:, -1]))
    # XLA slows a scan on the CPU; JAX has no alternative.
    model.compile("adam", "mse", jit_compile=keras.backend.backend() == "jax")
    random = np.random.default_rng(7)
    x, y = random.normal(size=(BATCH, STEPS, UNITS)).astype("float32"), random.normal(size=(BATCH, 1))
    return partial(model.train_on_batch, x, y.astype("float32"))


def slstm_layers() -> Mapping[str, keras.layers.Layer]:
    ours = {"the layer": SLSTM(UNITS, heads=HEADS)}
    if keras.backend.backend() == "jax":
        return {"jax.lax.scan by hand": ByHand(jax_scan), **ours}
    return {"tf.while_loop by hand": ByHand(tf_while), "tf.scan by hand": ByHand(tf_scan), **ours}


class ByHand(keras.layers.Layer):  # type: ignore[misc] # Keras has no types
    """A recurrence in plain backend code: (gates (steps, batch, 4 · units), R) → h (steps, batch, units)."""

    def __init__(self, recurrence: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.recurrence = recurrence

    def build(self, input_shape: tuple[int | None, ...]) -> None:  # noqa: ARG002 - Keras' signature
        size = UNITS // HEADS
        self.kernel = self.add_weight(shape=(HEADS, size, 4, size), initializer="zeros")
        self.bias = self.add_weight(shape=(4 * UNITS,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        kernel = block_diagonal(ops.convert_to_tensor(self.kernel))
        return ops.transpose(self.recurrence(ops.transpose(inputs + self.bias, (1, 0, 2)), kernel), (1, 0, 2))


def tf_step(kernel: Any, state: Any, gates: Any) -> Any:
    """One step by the paper's equations."""
    import tensorflow as tf  # noqa: PLC0415 - the other backend has none

    h, c, n, m = state
    i, f, z, o = tf.split(gates + tf.matmul(h, kernel), 4, axis=-1)
    log_f = tf.math.log_sigmoid(f)
    stabiliser = tf.maximum(i, log_f + m)
    i, f = tf.exp(i - stabiliser), tf.exp(log_f + m - stabiliser)
    c, n = f * c + i * tf.tanh(z), f * n + i
    return tf.sigmoid(o) * c / n, c, n, stabiliser


def tf_scan(gates: Any, kernel: Any) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - the other backend has none

    zero = tf.zeros_like(gates[0, :, :UNITS])
    return tf.scan(partial(tf_step, kernel), gates, (zero, zero, zero, zero - 1e30))[0]


def tf_while(gates: Any, kernel: Any) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - the other backend has none

    zero = tf.zeros_like(gates[0, :, :UNITS])
    inputs = tf.TensorArray(tf.float32, STEPS).unstack(gates)
    outputs = tf.TensorArray(tf.float32, STEPS, element_shape=zero.shape)

    def body(step: Any, state: Any, outputs: Any) -> Any:
        state = tf_step(kernel, state, inputs.read(step))
        return step + 1, state, outputs.write(step, state[0])

    start = (0, (zero, zero, zero, zero - 1e30), outputs)
    return tf.while_loop(lambda step, *_: step < STEPS, body, start)[-1].stack()


def jax_scan(gates: Any, kernel: Any) -> Any:
    import jax  # noqa: PLC0415 - the other backend has none
    import jax.numpy as jnp  # noqa: PLC0415 - as above

    def step(state: Any, gates: Any) -> Any:
        h, c, n, m = state
        i, f, z, o = jnp.split(gates + h @ kernel, 4, axis=-1)
        log_f = jax.nn.log_sigmoid(f)
        stabiliser = jnp.maximum(i, log_f + m)
        i, f = jnp.exp(i - stabiliser), jnp.exp(log_f + m - stabiliser)
        c, n = f * c + i * jnp.tanh(z), f * n + i
        h = jax.nn.sigmoid(o) * c / n
        return (h, c, n, stabiliser), h

    zero = jnp.zeros_like(gates[0, :, :UNITS])
    return jax.lax.scan(step, (zero, zero, zero, zero - 1e30), gates)[1]


def mlstm_steps(size: int) -> Mapping[str, Callable[[], Any]]:
    random = np.random.default_rng(7)
    q, k, v = (ops.convert_to_tensor(random.normal(size=(BATCH, HEADS, STEPS, size)).astype("float32")) for _ in "qkv")
    i, f = (ops.convert_to_tensor(random.normal(size=(BATCH, HEADS, STEPS)).astype("float32") + at) for at in (0, 4))
    forms: Mapping[str, Callable[..., Any]] = {
        "parallel": mlstm_parallel,
        "chunks of 30": partial(mlstm_chunked, chunk_size=30),
    }
    return {
        "Q Kᵀ and S V alone": gradient_step(products, q, k, v),
        **{name: gradient_step(form, q, k, v, i, f) for name, form in forms.items()},
    }


def products(q: Any, k: Any, v: Any) -> Any:
    return ops.matmul(ops.matmul(q, ops.swapaxes(k, -1, -2)), v)


def gradient_step(form: Callable[..., Any], *inputs: Any) -> Callable[[], Any]:
    """The gradient of Σ h² with respect to all inputs."""

    def loss(*inputs: Any) -> Any:
        return ops.sum(ops.square(form(*inputs)))

    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415 - the other backend has none

        compiled = jax.jit(jax.grad(loss, argnums=tuple(range(len(inputs)))))
        return lambda: jax.block_until_ready(compiled(*inputs))
    import tensorflow as tf  # noqa: PLC0415 - the other backend has none

    @tf.function  # type: ignore[untyped-decorator] # TensorFlow has no types
    def gradient() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = loss(*inputs)
        return tape.gradient(value, inputs)

    return lambda: gradient()[0].numpy()  # noqa: PLW0108 - each call computes it anew


if __name__ == "__main__":
    main()
