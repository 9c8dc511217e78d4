"""LSTM–Transformer: the forward pass of the network that `models.deep.lstm_transformer` builds, to its head `sign`."""

import numpy as np

from foundry_tasks.models.deep.numpy_forward.layers import (
    Array,
    Mask,
    Part,
    Shapes,
    Weights,
    dense,
    gelu,
    layer_norm,
    linear,
    mask_of,
    sigmoid,
)

EXPANSION = 2
"""Width of the feed-forward's inside over the block's."""
HEADS = 2
_EPSILON = 1e-3
_UNSEEN = np.float32(-1e30)
"""Added to the logits of steps that must not be seen. Where all are unseen they weigh the same, as in Keras."""


def shapes(*, steps: int, inputs: int, width: int, blocks: int) -> Shapes:
    """Of all weights."""
    norm = {"scale": (width,), "offset": (width,)}
    into_heads, bias = (width, HEADS, width // HEADS), (HEADS, width // HEADS)
    block = {
        **{f"look_{name}": shape for name, shape in norm.items()},
        **{
            f"{name}{of}": shape
            for name in ("query", "key", "value")
            for of, shape in (("", into_heads), ("_bias", bias))
        },
        "attended": (HEADS, width // HEADS, width),
        "attended_bias": (width,),
        **{f"think_{name}": shape for name, shape in norm.items()},
        "widen": (width, EXPANSION * width),
        "widen_bias": (EXPANSION * width,),
        "narrow": (EXPANSION * width, width),
        "narrow_bias": (width,),
    }
    return {
        "projection": {"kernel": (inputs, width), "kernel_bias": (width,)},
        "lstm": {"kernel": (width, 4 * width), "recurrent": (width, 4 * width), "kernel_bias": (4 * width,)},
        "position": {"offset": (steps, width)},
        **{f"block_{number}": block for number in range(1, blocks + 1)},
        "last_norm": norm,
        "sign": {"kernel": (width, 1), "kernel_bias": (1,)},
    }


def log_odds(windows: Array, weights: Weights) -> Array:
    """(batch, steps, inputs), missing values 0, a step of zeros alone masked → (batch,)."""
    mask = mask_of(windows)
    x = _lstm(dense(windows, weights["projection"], "kernel"), weights["lstm"], mask)
    x += weights["position"]["offset"]
    blocks = [part for name, part in weights.items() if name.startswith("block_")]
    for part in blocks[:-1]:
        x = _block(x, x, part, _unseen(mask))
    x = _block(x[:, -1:], x, blocks[-1], np.where(mask, np.float32(0), _UNSEEN)[:, None])
    return dense(_norm(x[:, 0], weights["last_norm"], ""), weights["sign"], "kernel")[:, 0]


def _lstm(x: Array, part: Part, mask: Mask) -> Array:
    """(batch, steps, width) → outputs of the same shape; a masked step leaves state and output as they were.

    Gates in Keras' order: input, forget, cell input, output.
    """
    batch, steps, width = x.shape
    entered, recurrent = dense(x, part, "kernel"), part["recurrent"]
    outputs: Array = np.empty_like(x)
    h, c = np.zeros((2, batch, width), np.float32)
    for step in range(steps):
        gates = entered[:, step] + h @ recurrent
        open_ = sigmoid(gates)
        new_c = open_[:, width : 2 * width] * c + open_[:, :width] * np.tanh(gates[:, 2 * width : 3 * width])
        new_h = open_[:, 3 * width :] * np.tanh(new_c)
        seen = mask[:, step]
        if not seen.all():
            new_h, new_c = np.where(seen[:, None], new_h, h), np.where(seen[:, None], new_c, c)
        outputs[:, step] = h = new_h
        c = new_c
    return outputs


def _unseen(mask: Mask) -> Array:
    """(batch or 1, steps, steps), to add to the logits: no step sees a later or masked one; a masked step sees none."""
    causal = np.tri(mask.shape[1], dtype=np.bool_)[None]
    seen = causal if mask.all() else causal & mask[:, None] & mask[:, :, None]
    return np.where(seen, np.float32(0), _UNSEEN)


def _block(asking: Array, x: Array, part: Part, unseen: Array) -> Array:
    """x + attention(norm x), then x + feed-forward(norm x), at the steps `asking`, (batch, all steps or the last, width)."""
    noted = _norm(x, part, "look_")
    looking = noted[:, -asking.shape[1] :]
    q, k, v = (_in_heads(y, part, name) for y, name in ((looking, "query"), (noted, "key"), (noted, "value")))
    logits = (q * np.float32(q.shape[-1] ** -0.5)) @ k.swapaxes(-1, -2)
    logits += unseen[:, None]
    logits -= logits.max(axis=-1, keepdims=True)
    weights = np.exp(logits, out=logits)
    attended = weights @ v
    attended /= weights.sum(axis=-1, keepdims=True)
    x = linear(attended.swapaxes(1, 2).reshape(asking.shape), part["attended"].reshape(-1, asking.shape[-1]))
    x += part["attended_bias"]
    x += asking
    return x + dense(gelu(dense(_norm(x, part, "think_"), part, "widen")), part, "narrow")


def _in_heads(x: Array, part: Part, name: str) -> Array:
    """(batch, steps, width) → (batch, heads, steps, size)."""
    kernel, bias = part[name], part[f"{name}_bias"]
    projected = linear(x, kernel.reshape(len(kernel), -1)) + bias.ravel()
    return projected.reshape(*x.shape[:2], *bias.shape).swapaxes(1, 2)


def _norm(x: Array, part: Part, of: str) -> Array:
    return layer_norm(x, part[f"{of}scale"], epsilon=_EPSILON) + part[f"{of}offset"]
