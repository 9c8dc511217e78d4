"""mLSTM in its parallel form; the formulas and their names are those of `models.deep.layers.mlstm`."""

import numpy as np

from foundry_tasks.models.deep.numpy_forward.layers import Array, Mask, log_sigmoid

_EPSILON = np.float32(1e-6)
_LARGEST_EXPONENT = np.float32(60)
_CLOSED, _OPEN = np.float32(-1e30), np.float32(1e4)
"""Gates of a masked step: nothing is written, nothing forgotten."""


def mlstm(q: Array, k: Array, v: Array, i: Array, f: Array, mask: Mask) -> Array:
    """q: (batch, heads, asking steps, size), the last ones; k, v: (batch, heads, steps, size); i, f: (batch, heads, steps).

    Returns h, of q's shape. Memory grows with asking × all steps, which is why scoring passes a few rows at a time.
    """
    if not mask.all():
        i, f = np.where(mask[:, None], i, _CLOSED), np.where(mask[:, None], f, _OPEN)
    asking, steps, scale = q.shape[2], k.shape[2], np.float32(q.shape[3] ** -0.5)
    forgotten = np.cumsum(log_sigmoid(f), axis=-1)
    a = i - forgotten
    largest = np.maximum.accumulate(a, axis=-1)[..., -asking:]
    ahead = np.where(np.tri(steps, dtype=np.bool_)[-asking:], np.float32(0), np.float32(-np.inf))
    weights: Array = a[..., None, :] + ahead
    weights -= largest[..., None]
    np.exp(weights, out=weights)
    weights *= q @ k.swapaxes(-1, -2)
    floor = np.exp(np.minimum(-forgotten[..., -asking:] - largest, _LARGEST_EXPONENT))
    total = np.abs(weights.sum(axis=-1)) * scale
    h: Array = weights @ v
    h *= (scale / (np.maximum(total, floor) + _EPSILON))[..., None]
    return h
