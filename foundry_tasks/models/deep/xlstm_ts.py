"""xLSTM-TS: a stack of xLSTM blocks over the last sessions of one ticker. After Lopez Gil et al. (2024), arXiv 2408.12408.

The network of the paper reads one denoised price. This one reads many inputs per session and no later session.
"""

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras

from foundry_tasks.models.deep.layers.xlstm_block import Kind, XLSTMBlock
from foundry_tasks.models.deep.numpy_forward.xlstm_ts import HEADS, SLSTM_BLOCK
from foundry_tasks.models.deep.wavelet import WaveletDenoiser


def build_xlstm_ts(
    *,
    steps: int,
    inputs: int,
    width: int,
    blocks: int,
    dropout: float = 0.0,
    denoise: bool = False,
) -> keras.Model:
    """The network: (batch, steps, inputs) float32 → {"sign": (batch, 1) float32 log-odds of the last step}.

    Missing values are 0; a step whose inputs are all 0 is masked. width: a multiple of HEADS. denoise: whether the windows
    pass through WaveletDenoiser first. Matrix products are computed in the precision of Keras' global dtype policy; gates,
    states, norms and log-odds in float32.
    """
    window = keras.Input((steps, inputs), name="window")
    x = keras.layers.Masking(0.0)(window)
    if denoise:
        x = WaveletDenoiser()(x)
    x = keras.layers.Dense(width, name="embedding")(x)
    for block in range(blocks):
        kind: Kind = "slstm" if block == SLSTM_BLOCK else "mlstm"
        x = XLSTMBlock(kind=kind, heads=HEADS, dropout=dropout, name=f"block_{block}_{kind}")(x)
    x = keras.layers.LayerNormalization(center=False, epsilon=1e-5, name="norm")(x[:, -1])
    return keras.Model(window, {"sign": keras.layers.Dense(1, dtype="float32", name="sign")(x)}, name="xlstm_ts")
