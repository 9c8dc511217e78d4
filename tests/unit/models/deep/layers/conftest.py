"""Helpers for tests of layers on any backend that trains: gradients, and arrays from tensors."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import ops

from foundry_tasks.data.panel import FloatArray

Tensors = Callable[..., Any]
"""A function of the backend's tensors."""


def _gradients(function: Tensors, *inputs: npt.ArrayLike) -> list[FloatArray]:
    """d Σ function(*inputs) / d each input, as arrays."""
    tensors = [ops.convert_to_tensor(x) for x in inputs]
    if keras.backend.backend() == "jax":
        found = _jax_gradient(function, len(tensors))(*tensors)
    else:
        import tensorflow as tf  # noqa: PLC0415 - if it is the backend

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total = ops.sum(function(*tensors))
        found = tape.gradient(total, tensors)
    return [ops.convert_to_numpy(gradient) for gradient in found]


@cache
def _jax_gradient(function: Tensors, n_inputs: int) -> Tensors:
    import jax  # noqa: PLC0415 - as above

    gradient: Tensors = jax.jit(jax.grad(lambda *x: ops.sum(function(*x)), argnums=tuple(range(n_inputs))))
    return gradient


@pytest.fixture
def gradients() -> Callable[..., list[FloatArray]]:
    return _gradients


@pytest.fixture(scope="session")
def compiled() -> Callable[[Tensors], Tensors]:
    """A function of arrays, run the fastest way: JAX compiles it as a whole, else it would compile each operation."""
    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415 - as above

        jit: Callable[[Tensors], Tensors] = jax.jit
        return jit
    return lambda function: function


@pytest.fixture
def slopes() -> Callable[..., FloatArray]:
    """Slopes of Σ function along a random direction of each single input: central differences in float64."""

    def along(
        function: Callable[..., FloatArray],
        inputs: Sequence[FloatArray],
        directions: Sequence[FloatArray],
        step: float = 1e-6,
    ) -> FloatArray:
        found = []
        for at, direction in enumerate(directions):
            moved = [[x + sign * step * direction if j == at else x for j, x in enumerate(inputs)] for sign in (1, -1)]
            found.append((function(*moved[0]).sum() - function(*moved[1]).sum()) / (2 * step))
        return np.array(found)

    return along
