"""Wavelet denoising that cannot look ahead: it sees one trailing window, and nothing else.

Denoising a whole series with a two-sided wavelet and forecasting the result "predicts" a random walk, since every smoothed
value holds the values that follow it (Lopez Gil et al. 2024 denoise so, arXiv 2408.12408). Here the window ends at the
session that is scored. The transform is the causal à trous Haar of Renaud, Starck and Murtagh (2005): a moving average of
2ˡ steps a level, the details being the differences between levels, so that their sum is the series again.
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
    """Soft threshold on each input's wavelet details within its window: (batch, steps, inputs) → the same shape.

    A level's threshold is σ √(2 ln steps) (Donoho and Johnstone 1994), σ = √(π/2) · mean |detail| of that level: white
    noise has no such detail, a level that stays or a jump has. Masked steps count as 0 and come back as 0. Nothing is learned.
    Raises ValueError where the window is too short for its levels.
    """

    def __init__(self, *, levels: int = LEVELS, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.levels = levels
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Compute the matrices of the wavelets, (steps, steps) each. Raises ValueError for a window that is too short."""
        self.smooth, self.details = a_trous_haar(input_shape[1] or 0, self.levels)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """inputs: (batch, steps, inputs). mask: (batch, steps), False where a step comes back as 0."""
        window = ops.cast(inputs, "float32")
        kept = ops.matmul(self.smooth, window)
        reach = float(np.sqrt(np.pi / 2) * np.sqrt(2 * np.log(len(self.smooth))))
        for matrix in self.details:
            detail = ops.matmul(matrix, window)
            threshold = reach * ops.mean(ops.abs(detail), axis=1, keepdims=True)
            kept += ops.sign(detail) * ops.relu(ops.abs(detail) - threshold)
        if mask is not None:
            kept *= ops.cast(ops.expand_dims(mask, -1), "float32")
        return ops.cast(kept, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> SavedConfig:
        """The arguments, for a saved model."""
        return {**super().get_config(), "levels": self.levels}
