import keras
import numpy as np
import pytest
from keras import ops

from foundry_tasks.models.deep.layers.xlstm_block import XLSTMBlock

KINDS = ("slstm", "mlstm")


def random_block(kind, **kwargs):
    block = XLSTMBlock(kind=kind, **kwargs)
    block.build((None, 8, 8))
    random = np.random.default_rng(0)
    block.set_weights([weight + random.normal(size=weight.shape) / 3 for weight in block.get_weights()])
    return block


def window(steps=8, scale=1.0):
    return (scale * np.random.default_rng(1).normal(size=(2, steps, 8))).astype("float32")


def array(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_step_never_changes_an_earlier_output(kind):
    block, x = random_block(kind), window()
    changed = x.copy()
    changed[:, 5:] += 3
    before, after = array(block(x)), array(block(changed))
    np.testing.assert_allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert not np.allclose(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize("kind", KINDS)
def test_an_earlier_step_reaches_a_later_output_beyond_the_convolution(kind):
    block, x = random_block(kind), window()
    changed = x.copy()
    changed[:, 0, 0] += 3  # the norm removes a change of all units
    assert np.abs(array(block(x)) - array(block(changed)))[:, -1].max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_masked_steps_at_the_start_leave_no_trace(kind):
    block, x = random_block(kind), window()
    mask = np.ones((2, 8), dtype=bool)
    mask[:, :3] = False
    masked = array(block(x, mask=ops.convert_to_tensor(mask)))
    np.testing.assert_allclose(masked[:, 3:], array(block(x[:, 3:])), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_has_no_nan_and_says_nearly_the_same(kind, policy):
    block, half = random_block(kind), random_block(kind, dtype=policy)
    half.set_weights(block.get_weights())
    out = half(window(scale=30.0))
    assert keras.backend.standardize_dtype(out.dtype) == half.compute_dtype
    assert np.isfinite(array(out)).all()
    assert np.corrcoef(array(block(window())).ravel(), array(half(window())).ravel())[0, 1] > 0.999


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_in_training_alone(kind):
    block, x = random_block(kind, dropout=0.5), window()
    np.testing.assert_array_equal(array(block(x)), array(block(x)))
    assert not np.allclose(array(block(x, training=True)), array(block(x)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_comes_back_from_its_config(kind):
    block = random_block(kind, heads=4, dropout=0.1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(block))
    again.set_weights(block.get_weights())
    assert (again.kind, again.heads, again.dropout) == (kind, 4, 0.1)
    np.testing.assert_array_equal(array(again(window())), array(block(window())))
