"""The paper's two recurrences in NumPy and float64: the reference for all our forms."""

import numpy as np

from foundry_tasks.data.panel import FloatArray


def log_sigmoid(x: FloatArray) -> FloatArray:
    return -np.logaddexp(0, -x)


def slstm_by_hand(gates: FloatArray, kernel: FloatArray, bias: FloatArray) -> FloatArray:
    """gates (batch, steps, 4 · units), kernel (heads, in, 4, out), bias (heads, 4, out) → h (batch, steps, units)."""
    batch, steps, _ = gates.shape
    heads, size = kernel.shape[:2]
    h = c = n = np.zeros((batch, heads, size))
    m = np.full_like(h, -1e30)
    outputs = []
    for step in range(steps):
        g = gates[:, step].reshape(batch, 4, heads, size) + np.einsum("bhd,hdge->bghe", h, kernel)
        i, f, z, o = (g + bias.transpose(1, 0, 2)).transpose(1, 0, 2, 3)
        before, m = m, np.maximum(i, log_sigmoid(f) + m)
        i, f = np.exp(i - m), np.exp(log_sigmoid(f) + before - m)
        c, n = f * c + i * np.tanh(z), f * n + i
        h = np.exp(log_sigmoid(o)) * c / n
        outputs.append(h.reshape(batch, -1))
    return np.stack(outputs, axis=1)


def mlstm_by_hand(q: FloatArray, k: FloatArray, v: FloatArray, i: FloatArray, f: FloatArray) -> FloatArray:
    """The stabilised parallel form with its matrix D; shapes as in `mlstm`."""
    steps, size = q.shape[-2:]
    forgotten = np.cumsum(log_sigmoid(f), axis=-1)
    d = forgotten[..., :, None] - forgotten[..., None, :] + i[..., None, :]
    d = np.where(np.tri(steps), d, -np.inf)
    m = d.max(axis=-1, keepdims=True)
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(size) * np.exp(d - m)
    floor = np.exp(np.minimum(-m, 600))
    h: FloatArray = scores @ v / (np.maximum(np.abs(scores.sum(axis=-1, keepdims=True)), floor) + 1e-6)
    return h
