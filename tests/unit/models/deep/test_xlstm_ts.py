import keras
import numpy as np
import pytest
from keras import ops

from foundry_tasks.models.deep.wavelet import WaveletDenoiser
from foundry_tasks.models.deep.xlstm_ts import build_xlstm_ts


def small(steps=10, blocks=2, **kwargs):
    return build_xlstm_ts(steps=steps, inputs=5, width=8, blocks=blocks, **kwargs)


def window(steps=10, rows=6):
    return np.random.default_rng(0).normal(size=(rows, steps, 5)).astype("float32")


def scores(model, x):
    return ops.convert_to_numpy(model(x)["sign"])


def test_a_row_has_one_float32_score_without_a_sigmoid():
    model = small()
    model.get_layer("sign").bias.assign([7.0])
    out = scores(model, window())
    assert (out.shape, out.dtype) == ((6, 1), np.float32)
    assert out.max() > 1


def test_the_second_block_alone_is_an_slstm():
    kinds = [layer.kind for layer in small(blocks=4).layers if layer.name.startswith("block_")]
    assert kinds == ["mlstm", "slstm", "mlstm", "mlstm"]


def test_the_stack_has_as_many_parameters_as_the_reference():
    """xLSTMBlockStack of PyPI's xlstm 2.0.6 at width 64, two heads, four blocks, the second an sLSTM."""
    model = build_xlstm_ts(steps=60, inputs=1, width=64, blocks=4)
    blocks = sum(layer.count_params() for layer in model.layers if layer.name.startswith("block_"))
    width, inner, heads = 64, 128, 2
    projections = width * 2 * inner + 3 * inner * 4 + inner * width
    mlstm = projections + (4 + 1) * inner + 2 * (3 * inner + 1) * heads + 2 * inner + width
    recurrence = width * 4 * width // heads + 4 * width
    slstm = (4 + 1) * width + 4 * width * width // heads + recurrence + width + 3 * width * 2 * width + 2 * width
    assert blocks + model.get_layer("norm").count_params() == 3 * mlstm + slstm + width == 127_628


def test_missing_steps_at_the_start_are_as_if_they_were_not_there():
    model, shorter, x = small(), small(steps=6), window()
    shorter.set_weights(model.get_weights())
    x[:, :4] = 0
    np.testing.assert_allclose(scores(model, x), scores(shorter, x[:, 4:]), rtol=1e-4, atol=1e-5)


def test_a_window_without_any_value_has_a_score():
    assert np.isfinite(scores(small(denoise=True), np.zeros((2, 10, 5), dtype="float32"))).all()


def test_a_network_comes_back_from_its_config_and_weights():
    model = small(denoise=True, dropout=0.1)
    again = keras.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(scores(again, window()), scores(model, window()))


def test_the_denoiser_is_there_where_it_is_asked_for():
    def found(model):
        return any(isinstance(layer, WaveletDenoiser) for layer in model.layers)

    assert found(small(denoise=True))
    assert not found(small())


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_keeps_the_score_float32_and_finite(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = small()
    finally:
        keras.config.set_dtype_policy("float32")
    out = scores(model, 100 * window())
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


def test_it_learns_what_an_early_step_said():
    keras.utils.set_random_seed(0)
    model, x = small(), window(rows=256)
    said = (x[:, 2, :1] > 0).astype("float32")
    model.compile(keras.optimizers.Adam(0.01), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    model.fit(x, {"sign": said}, epochs=20, batch_size=64, verbose=0)
    assert ((scores(model, x) > 0) == said).mean() > 0.9
