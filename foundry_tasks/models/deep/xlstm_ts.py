"""xLSTM-TS: a stack of xLSTM blocks over the last sessions of one ticker. After Lopez Gil et al. (2024), arXiv 2408.12408.

Theirs forecasts one denoised price; this one reads many inputs of a session, and never a later session.
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
    """(batch, steps, inputs) float32, missing values 0 → {"sign": (batch, 1) float32 log-odds of the last step}.

    A step whose inputs are all 0 is masked. The width is a multiple of HEADS. The global dtype policy says what products are
    computed in; gates, states, norms and the log-odds are float32 in any.
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
