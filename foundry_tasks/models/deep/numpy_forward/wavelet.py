"""The causal à trous Haar transform, and denoising by soft thresholds on its details."""

import numpy as np
import numpy.typing as npt

from foundry_tasks.models.deep.numpy_forward.layers import Array, Mask

LEVELS = 2


def denoised(windows: Array, mask: Mask) -> Array:
    """Denoised windows: (batch, steps, inputs) → the same shape, 0 at masked steps.

    mask: (batch, steps). The formula is that of `models.deep.wavelet.WaveletDenoiser`. Raises ValueError if there are too
    few steps.
    """
    smooth, details = a_trous_haar(windows.shape[1], LEVELS)
    kept: Array = smooth @ windows
    factor = np.float32(np.sqrt(np.pi / 2) * np.sqrt(2 * np.log(len(smooth))))
    for matrix in details:
        detail = matrix @ windows
        size = np.abs(detail)
        shrunk = np.maximum(size - factor * size.mean(axis=1, keepdims=True), 0)
        kept += np.copysign(shrunk, detail)
    kept *= mask[..., None]
    return kept


def a_trous_haar(steps: int, levels: int) -> tuple[npt.NDArray[np.float32], tuple[npt.NDArray[np.float32], ...]]:
    """Matrices (steps, steps) of the smooth and of each level's details, finest first; all lower triangular.

    smooth + Σ details is the identity. The value before the window's first step is assumed to be that of the first step.
    Raises ValueError if the window is too short for its levels.
    """
    if steps < 2**levels:
        raise ValueError(f"{levels} wavelet levels need at least {2**levels} steps, got {steps}. Use a longer window.")
    smooth, details = np.eye(steps), []
    for level in range(levels):
        back = np.maximum(np.arange(steps) - 2**level, 0)
        finer, smooth = smooth, (smooth + smooth[back]) / 2
        details.append((finer - smooth).astype(np.float32))
    return smooth.astype(np.float32), tuple(details)
