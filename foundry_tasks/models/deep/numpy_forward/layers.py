"""Layers without recurrence: (…, inputs) float32 → (…, outputs) float32. The formulas are those of Keras."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
"""(batch, steps), False for a step whose inputs are all 0."""
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]
"""Part of a network → weight → shape, in the order in which the weights are saved."""
Part = Mapping[str, Array]
Weights = Mapping[str, Part]


def mask_of(windows: Array) -> Mask:
    """(batch, steps, inputs) → (batch, steps), True where any input is not 0."""
    mask: Mask = np.any(windows, axis=-1)
    return mask


# ---------------------------------------------------------------- activations
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), computed as (1 + tanh(x / 2)) / 2, which cannot overflow."""
    result: Array = np.tanh(x * np.float32(0.5))
    result += 1
    result *= 0.5
    return result


def log_sigmoid(x: Array) -> Array:
    """−log(1 + exp(−x))."""
    result: Array = np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))
    return result


def silu(x: Array) -> Array:
    """x · sigmoid(x)."""
    return x * sigmoid(x)


def gelu(x: Array) -> Array:
    """x · Φ(x), Φ(x) = (1 + erf(x / √2)) / 2."""
    return _times_half_of(x, _erf(x * np.float32(np.sqrt(0.5))))


def gelu_by_tanh(x: Array) -> Array:
    """x · Φ(x), with erf(x / √2) ≈ tanh(√(2/π) · (x + 0.044715 x³)). Hendrycks and Gimpel (2016)."""
    inner = x * x
    inner *= 0.044715
    inner += 1
    inner *= x
    inner *= np.float32(np.sqrt(2 / np.pi))
    return _times_half_of(x, np.tanh(inner))


def _times_half_of(x: Array, erf: Array) -> Array:
    """x · (1 + erf) / 2; overwrites erf."""
    erf += 1
    erf *= 0.5
    erf *= x
    return erf


def _erf(x: Array) -> Array:
    """Abramowitz and Stegun (1964), formula 7.1.26, error below 1.5e-7. SciPy's erf takes ten times as long."""
    size = np.abs(x)
    t = 1 / (1 + np.float32(0.3275911) * size)
    series = np.full_like(t, 1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series *= t
        series += np.float32(coefficient)
    series *= t
    series *= np.exp(-size * size)
    result: Array = np.copysign(1 - series, x)
    return result


# ---------------------------------------------------------------- linear maps
def linear(x: Array, kernel: Array) -> Array:
    """x · kernel as one product for all rows and steps. kernel: (inputs, outputs)."""
    return (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])


def dense(x: Array, part: Part, name: str) -> Array:
    """x · kernel + bias. part: holds the kernel `name`, (inputs, outputs), and the bias `name`_bias, (outputs,)."""
    result = linear(x, part[name])
    result += part[f"{name}_bias"]
    return result


def block_diagonal(kernel: Array) -> Array:
    """A kernel as one matrix, zero between different blocks.

    kernel: (blocks, inputs, groups, outputs). Returns (blocks · inputs, groups · blocks · outputs).
    """
    blocks, inputs, groups, outputs = kernel.shape
    matrix = np.zeros((blocks, inputs, groups, blocks, outputs), np.float32)
    own = np.arange(blocks)
    matrix[own, :, :, own] = kernel
    return matrix.reshape(blocks * inputs, groups * blocks * outputs)


def causal_convolution(x: Array, part: Part, mask: Mask) -> Array:
    """Depthwise causal convolution: y_t = b + Σ_j w_j ⊙ x_{t−j}, with x = 0 at masked steps and before the first one.

    x: (batch, steps, units). Weights: `convolution` (taps, units), `convolution_bias` (units,).
    """
    kernel, steps = part["convolution"], x.shape[1]
    if not mask.all():
        x = x * mask[..., None]
    result: Array = x * kernel[0]
    for back in range(1, min(len(kernel), steps)):
        result[:, back:] += kernel[back] * x[:, :-back]
    result += part["convolution_bias"]
    return result


# ---------------------------------------------------------------- norms
def layer_norm(x: Array, scale: Array, *, epsilon: float) -> Array:
    """(x − mean) / √(variance + epsilon) · scale, moments over the last axis, ddof=0. scale: (units,) or (heads, units)."""
    centred: Array = x - x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i->...", centred, centred)[..., None] / np.float32(x.shape[-1])
    centred /= np.sqrt(variance + np.float32(epsilon))
    centred *= scale
    return centred


def head_norm(x: Array, scale: Array, *, heads: int, epsilon: float = 1e-5) -> Array:
    """Layer norm over the units of each head: (…, units) → the same shape. scale: (units,)."""
    by_head = (heads, x.shape[-1] // heads)
    normed = layer_norm(x.reshape(*x.shape[:-1], *by_head), scale.reshape(by_head), epsilon=epsilon)
    return normed.reshape(x.shape)
