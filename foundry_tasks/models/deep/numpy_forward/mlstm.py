"""mLSTM in its parallel form, with the formulas and names of `models.deep.layers.mlstm`."""

import numpy as np

from foundry_tasks.models.deep.numpy_forward.layers import Array, Mask, log_sigmoid

_EPSILON = np.float32(1e-6)
_LARGEST_EXPONENT = np.float32(60)
_CLOSED, _OPEN = np.float32(-1e30), np.float32(1e4)
"""Input and forget gate of a masked step: it leaves the memory unchanged."""


def mlstm(q: Array, k: Array, v: Array, i: Array, f: Array, mask: Mask) -> Array:
    """h of the last n_last steps, (batch, heads, n_last, size).

    q: (batch, heads, n_last, size). k, v: (batch, heads, steps, size). i, f: (batch, heads, steps), pre-activations. mask:
    (batch, steps). Memory grows with n_last · steps, so scoring passes a few rows at a time.
    """
    if not mask.all():
        i, f = np.where(mask[:, None], i, _CLOSED), np.where(mask[:, None], f, _OPEN)
    n_last, steps, scale = q.shape[2], k.shape[2], np.float32(q.shape[3] ** -0.5)
    forgotten = np.cumsum(log_sigmoid(f), axis=-1)
    a = i - forgotten
    largest = np.maximum.accumulate(a, axis=-1)[..., -n_last:]
    causal = np.where(np.tri(steps, dtype=np.bool_)[-n_last:], np.float32(0), np.float32(-np.inf))
    weights: Array = a[..., None, :] + causal
    weights -= largest[..., None]
    np.exp(weights, out=weights)
    weights *= q @ k.swapaxes(-1, -2)
    floor = np.exp(np.minimum(-forgotten[..., -n_last:] - largest, _LARGEST_EXPONENT))
    total = np.abs(weights.sum(axis=-1)) * scale
    h: Array = weights @ v
    h *= (scale / (np.maximum(total, floor) + _EPSILON))[..., None]
    return h
