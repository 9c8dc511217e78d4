"""What proves a layer on any backend that trains: gradients, and arrays back from tensors."""

from functools import cache

import keras
import numpy as np
import pytest
from keras import ops


def _gradients(function, *inputs):
    """d Σ function(*inputs) / d each input, as arrays."""
    inputs = [ops.convert_to_tensor(x) for x in inputs]
    if keras.backend.backend() == "jax":
        found = _jax_gradient(function, len(inputs))(*inputs)
    else:
        import tensorflow as tf  # noqa: PLC0415 - where it is the backend

        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = ops.sum(function(*inputs))
        found = tape.gradient(total, inputs)
    return [ops.convert_to_numpy(gradient) for gradient in found]


@cache
def _jax_gradient(function, n_inputs):
    import jax  # noqa: PLC0415 - as above

    return jax.jit(jax.grad(lambda *x: ops.sum(function(*x)), argnums=tuple(range(n_inputs))))


@pytest.fixture
def gradients():
    return _gradients


@pytest.fixture(scope="session")
def compiled():
    """A function of arrays as its backend runs it soonest: JAX compiles all of it at once, or else each operation alone."""
    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415 - as above

        return jax.jit
    return lambda function: function


@pytest.fixture
def slopes():
    """Σ function along a random direction of each input alone: central differences in float64."""

    def along(function, inputs, directions, step=1e-6):
        found = []
        for at, direction in enumerate(directions):
            moved = [[x + sign * step * direction if j == at else x for j, x in enumerate(inputs)] for sign in (1, -1)]
            found.append((function(*moved[0]).sum() - function(*moved[1]).sum()) / (2 * step))
        return np.array(found)

    return along
