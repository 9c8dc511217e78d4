"""Wavelet denoising without look-ahead: the input is a trailing window that ends at the session that is scored.

If a whole series is denoised with a two-sided wavelet, every smoothed value depends on later values, so even a random walk
becomes "predictable" (Lopez Gil et al. 2024, arXiv 2408.12408, denoise in this way). The transform here is the causal à
trous Haar transform of Renaud, Starck and Murtagh (2005): level l is a moving average of 2ˡ steps. Details are the
differences between successive levels; the smooth plus all details is the series.
"""

from typing import Unpack

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
import numpy as np
from keras import ops

from foundry_tasks.models.deep.keras_types import LayerOptions, SavedConfig, Tensor
from foundry_tasks.models.deep.numpy_forward.wavelet import LEVELS, a_trous_haar


@keras.saving.register_keras_serializable(package="foundry")
class WaveletDenoiser(keras.layers.Layer):
    """Soft threshold on the wavelet details of each input within its window: (batch, steps, inputs) → the same shape.

    The threshold of a level is σ √(2 ln steps) (Donoho and Johnstone 1994), σ = √(π/2) · mean |detail| of that level. The
    details of white noise rarely exceed it; those of a jump or of a lasting change of level do. Masked steps count as 0
    and are 0 in the output. There are no weights. Raises ValueError if the window is too short for its levels.
    """

    def __init__(self, *, levels: int = LEVELS, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.levels = levels
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Compute the matrices of the transform, (steps, steps) each. Raises ValueError if the window is too short."""
        self.smooth, self.details = a_trous_haar(input_shape[1] or 0, self.levels)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """inputs: (batch, steps, inputs). mask: (batch, steps), False where the output is set to 0."""
        window = ops.cast(inputs, "float32")
        kept = ops.matmul(self.smooth, window)
        factor = float(np.sqrt(np.pi / 2) * np.sqrt(2 * np.log(len(self.smooth))))
        for matrix in self.details:
            detail = ops.matmul(matrix, window)
            threshold = factor * ops.mean(ops.abs(detail), axis=1, keepdims=True)
            kept += ops.sign(detail) * ops.relu(ops.abs(detail) - threshold)
        if mask is not None:
            kept *= ops.cast(ops.expand_dims(mask, -1), "float32")
        return ops.cast(kept, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal layer."""
        return {**super().get_config(), "levels": self.levels}
