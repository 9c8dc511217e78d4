"""sLSTM over all steps, with the formulas and names of `models.deep.layers.slstm`."""

import numpy as np

from foundry_tasks.models.deep.numpy_forward.layers import Array, Mask, block_diagonal, log_sigmoid, sigmoid

_NOTHING_YET = np.float32(-1e30)
"""The stabiliser m before the first step: smaller than every exponent."""


def slstm(entered: Array, recurrent: Array, bias: Array, mask: Mask) -> Array:
    """Outputs h of all steps, (batch, steps, units).

    entered: (batch, steps, 4 · units), the gate inputs W x in the order input, forget, cell input, output. recurrent:
    (heads, unit in, 4, unit out). bias: (heads, 4, unit). mask: (batch, steps). A masked step repeats state and output of
    the step before.
    """
    batch, steps, units = entered.shape[0], entered.shape[1], entered.shape[2] // 4
    matrix = block_diagonal(recurrent)
    entered = entered + bias.swapaxes(0, 1).ravel()
    outputs: Array = np.empty((batch, steps, units), np.float32)
    h, c, n = np.zeros((3, batch, units), np.float32)
    m: Array = np.full((batch, units), _NOTHING_YET)
    for step in range(steps):
        gates = entered[:, step] + h @ matrix
        i, f, z, o = (gates[:, first : first + units] for first in range(0, 4 * units, units))
        log_f = log_sigmoid(f) + m
        new_m = np.maximum(i, log_f)
        i_prime, f_prime = np.exp(i - new_m), np.exp(log_f - new_m)
        new_c = f_prime * c + i_prime * np.tanh(z)
        new_n = f_prime * n + i_prime
        new_h = sigmoid(o) * new_c / new_n
        new, seen = (new_h, new_c, new_n, new_m), mask[:, step, None]
        if not seen.all():
            new = tuple(np.where(seen, after, before) for after, before in zip(new, (h, c, n, m), strict=True))
        h, c, n, m = new
        outputs[:, step] = h
    return outputs
