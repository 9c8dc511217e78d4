"""xLSTM-TS: the forward pass of the network that `models.deep.xlstm_ts` builds."""

import math

import numpy as np

from foundry_tasks.models.deep.numpy_forward.layers import (
    Array,
    Mask,
    Part,
    Shapes,
    Weights,
    block_diagonal,
    causal_convolution,
    dense,
    gelu_by_tanh,
    head_norm,
    layer_norm,
    linear,
    mask_of,
    silu,
)
from foundry_tasks.models.deep.numpy_forward.mlstm import mlstm
from foundry_tasks.models.deep.numpy_forward.slstm import slstm
from foundry_tasks.models.deep.numpy_forward.wavelet import denoised

HEADS = 2
SLSTM_BLOCK = 1
"""Index of the sLSTM block; the other blocks are mLSTM blocks."""
PROJECTION_BLOCK = 4
"""Units that share a query, key and value projection."""
TAPS = 4
"""Kernel size of a convolution, in steps."""
_EPSILON = 1e-5


def feed_forward_units(width: int) -> int:
    """Hidden width of the feed-forward: 1.3 times the width of the block, rounded up to a multiple of 64."""
    return math.ceil(1.3 * width / 64) * 64


def shapes(*, steps: int, inputs: int, width: int, blocks: int) -> Shapes:  # noqa: ARG001 - no weight depends on the steps
    """Shapes of all weights, in the order in which they are saved. width: a multiple of HEADS."""
    size, hidden, inner = width // HEADS, feed_forward_units(width), 2 * width
    projections, unit = inner // PROJECTION_BLOCK, PROJECTION_BLOCK
    mlstm_block = {
        "skip": (inner,),
        "up": (width, 2 * inner),
        "convolution": (TAPS, inner),
        "convolution_bias": (inner,),
        "query_and_key": (projections, unit, 2, unit),
        "value": (projections, unit, 1, unit),
        "gates": (3 * inner, 2 * HEADS),
        "gates_bias": (2 * HEADS,),
        "head_norm": (inner,),
        "down": (inner, width),
        "norm": (width,),
    }
    slstm_block = {
        "convolution": (TAPS, width),
        "convolution_bias": (width,),
        "input_and_forget": (HEADS, size, 2, size),
        "cell_and_output": (HEADS, size, 2, size),
        "recurrent": (HEADS, size, 4, size),
        "recurrent_bias": (HEADS, 4, size),
        "head_norm": (width,),
        "up": (width, 2 * hidden),
        "down": (hidden, width),
        "norm": (width,),
        "feed_forward_norm": (width,),
    }
    kinds = [slstm_block if block == SLSTM_BLOCK else mlstm_block for block in range(blocks)]
    return {
        "embedding": {"kernel": (inputs, width), "kernel_bias": (width,)},
        **{f"block_{block}": kind for block, kind in enumerate(kinds)},
        "norm": {"scale": (width,)},
        "sign": {"kernel": (width, 1), "kernel_bias": (1,)},
    }


def log_odds(windows: Array, weights: Weights, *, denoise: bool = False) -> Array:
    """Log-odds of the last step, (batch,).

    windows: (batch, steps, inputs), standardised; missing values are 0, and a step of zeros alone is masked. weights: as
    `shapes` names them. denoise: whether the windows are denoised first.
    """
    mask = mask_of(windows)
    x = dense(denoised(windows, mask) if denoise else windows, weights["embedding"], "kernel")
    blocks = [part for name, part in weights.items() if name.startswith("block_")]
    for number, part in enumerate(blocks, start=1):
        n_last = 1 if number == len(blocks) else x.shape[1]  # only the last step of the last block is used
        x = (_slstm_block if "recurrent" in part else _mlstm_block)(x, part, mask, n_last)
    x = layer_norm(x[:, 0], weights["norm"]["scale"], epsilon=_EPSILON)
    return dense(x, weights["sign"], "kernel")[:, 0]


def _mlstm_block(x: Array, part: Part, mask: Mask, n_last: int) -> Array:
    """(batch, steps, width) → (batch, n_last, width), the last steps."""
    batch, steps, width = x.shape
    inner = 2 * width
    normed = layer_norm(x, part["norm"], epsilon=_EPSILON)
    raw = linear(normed, part["up"][:, :inner])
    gate = linear(normed[:, -n_last:], part["up"][:, inner:])
    convolved = silu(causal_convolution(raw, part, mask))
    query_and_key = linear(convolved, block_diagonal(part["query_and_key"]))
    qkv = np.concatenate([query_and_key, linear(raw, block_diagonal(part["value"]))], axis=-1)
    i, f = dense(qkv, part, "gates").reshape(batch, steps, 2, HEADS).transpose(2, 0, 3, 1)
    q, k, v = qkv.reshape(batch, steps, 3, HEADS, inner // HEADS).transpose(2, 0, 3, 1, 4)
    h = mlstm(q[:, :, -n_last:], k, v, i, f, mask).swapaxes(1, 2).reshape(batch, n_last, inner)
    h = head_norm(h, part["head_norm"], heads=HEADS)
    h += part["skip"] * convolved[:, -n_last:]
    h *= silu(gate)
    return x[:, -n_last:] + linear(h, part["down"])


def _slstm_block(x: Array, part: Part, mask: Mask, n_last: int) -> Array:
    """(batch, steps, width) → (batch, n_last, width), the last steps."""
    normed = layer_norm(x, part["norm"], epsilon=_EPSILON)
    convolved = silu(causal_convolution(normed, part, mask))
    entered = [
        linear(convolved, block_diagonal(part["input_and_forget"])),
        linear(normed, block_diagonal(part["cell_and_output"])),
    ]
    h = slstm(np.concatenate(entered, axis=-1), part["recurrent"], part["recurrent_bias"], mask)[:, -n_last:]
    x = x[:, -n_last:] + head_norm(h, part["head_norm"], heads=HEADS)
    normed = layer_norm(x, part["feed_forward_norm"], epsilon=_EPSILON)
    hidden = part["down"].shape[0]
    gate, value = linear(normed, part["up"][:, :hidden]), linear(normed, part["up"][:, hidden:])
    return x + linear(gelu_by_tanh(gate) * value, part["down"])
