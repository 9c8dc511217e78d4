"""LSTM–Transformer: the forward pass of the network that `models.deep.lstm_transformer` builds, for the head `sign`."""

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
"""Hidden width of the feed-forward divided by the width of the block."""
HEADS = 2
_EPSILON = 1e-3
_MASKED_LOGIT = np.float32(-1e30)
"""Added to the logits of steps that are not attended to. If that is every step, all weights are equal, as in Keras."""


def shapes(*, steps: int, inputs: int, width: int, blocks: int) -> Shapes:
    """Shapes of all weights, in the order in which they are saved. width: a multiple of HEADS."""
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
    """Log-odds of the last step, (batch,).

    windows: (batch, steps, inputs), standardised; missing values are 0, and a step of zeros alone is masked. weights: as
    `shapes` names them.
    """
    mask = mask_of(windows)
    x = _lstm(dense(windows, weights["projection"], "kernel"), weights["lstm"], mask)
    x += weights["position"]["offset"]
    blocks = [part for name, part in weights.items() if name.startswith("block_")]
    for part in blocks[:-1]:
        x = _block(x, x, part, _attention_bias(mask))
    x = _block(x[:, -1:], x, blocks[-1], np.where(mask, np.float32(0), _MASKED_LOGIT)[:, None])
    return dense(_norm(x[:, 0], weights["last_norm"], ""), weights["sign"], "kernel")[:, 0]


def _lstm(x: Array, part: Part, mask: Mask) -> Array:
    """LSTM over all steps: (batch, steps, width) → the same shape. A masked step repeats state and output of the step before.

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


def _attention_bias(mask: Mask) -> Array:
    """(batch or 1, steps, steps), to add to the logits: _MASKED_LOGIT for later steps and where either step is masked, else 0."""
    causal = np.tri(mask.shape[1], dtype=np.bool_)[None]
    attended = causal if mask.all() else causal & mask[:, None] & mask[:, :, None]
    return np.where(attended, np.float32(0), _MASKED_LOGIT)


def _block(residual: Array, x: Array, part: Part, bias: Array) -> Array:
    """x + attention(norm x), then x + feed-forward(norm x), of the shape of `residual`.

    x: (batch, steps, width). residual: x itself, or its last step, (batch, 1, width). bias: added to the logits.
    """
    normed = _norm(x, part, "look_")
    queries = normed[:, -residual.shape[1] :]
    q, k, v = (_in_heads(y, part, name) for y, name in ((queries, "query"), (normed, "key"), (normed, "value")))
    logits = (q * np.float32(q.shape[-1] ** -0.5)) @ k.swapaxes(-1, -2)
    logits += bias[:, None]
    logits -= logits.max(axis=-1, keepdims=True)
    weights = np.exp(logits, out=logits)
    attended = weights @ v
    attended /= weights.sum(axis=-1, keepdims=True)
    x = linear(attended.swapaxes(1, 2).reshape(residual.shape), part["attended"].reshape(-1, residual.shape[-1]))
    x += part["attended_bias"]
    x += residual
    return x + dense(gelu(dense(_norm(x, part, "think_"), part, "widen")), part, "narrow")


def _in_heads(x: Array, part: Part, name: str) -> Array:
    """Project and split into heads: (batch, steps, width) → (batch, heads, steps, size)."""
    kernel, bias = part[name], part[f"{name}_bias"]
    projected = linear(x, kernel.reshape(len(kernel), -1)) + bias.ravel()
    return projected.reshape(*x.shape[:2], *bias.shape).swapaxes(1, 2)


def _norm(x: Array, part: Part, of: str) -> Array:
    return layer_norm(x, part[f"{of}scale"], epsilon=_EPSILON) + part[f"{of}offset"]
