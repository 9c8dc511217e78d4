import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from foundry_tasks.models.deep.layers.slstm import SLSTM, SLSTMCell
from tests.unit.models.deep.layers.recurrences import slstm_by_hand

HEADS, SIZE = 2, 3
UNITS = HEADS * SIZE


def random_layer(**kwargs):
    layer = SLSTM(UNITS, heads=HEADS, **kwargs)
    layer.build((None, None, 4 * UNITS))
    random = np.random.default_rng(0)
    layer.set_weights([random.normal(size=weight.shape) / 2 for weight in layer.weights])
    return layer


def gates(*, steps=7, scale=2.0, seed=1):
    return (scale * np.random.default_rng(seed).normal(size=(2, steps, 4 * UNITS))).astype("float32")


def outputs(layer, x, **kwargs):
    return ops.convert_to_numpy(ops.cast(layer(x, **kwargs), "float32"))


def test_outputs_and_state_are_those_of_the_reference(market_data):
    reference = np.load(market_data / "xlstm_reference" / "slstm.npz")
    network = keras.layers.RNN(SLSTMCell(8, heads=2), return_sequences=True, return_state=True, dtype="float32")
    network.build((3, 20, 32))
    network.cell.set_weights([reference["R"], reference["b"]])
    y, *state = (ops.convert_to_numpy(x) for x in network(reference["x"]))
    np.testing.assert_allclose(y, reference["y"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.stack(state), reference["state"], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def scan(compiled):
    """(weights, gates) → outputs, so that one compilation serves all examples."""
    layer = random_layer()
    return compiled(lambda weights, x: layer.stateless_call(weights, [], x)[0])


@settings(max_examples=15)
@given(seed=st.integers(0, 999), scale=st.sampled_from([0.1, 3.0, 30.0]))
def test_it_is_the_recurrence_whatever_the_gates(scan, seed, scale):
    random, x = np.random.default_rng(seed), gates(scale=scale, seed=seed)
    kernel, bias = random.normal(size=(HEADS, SIZE, 4, SIZE)) / 2, random.normal(size=(HEADS, 4, SIZE))
    found = ops.convert_to_numpy(scan([kernel.astype("float32"), bias.astype("float32")], x))
    np.testing.assert_allclose(found, slstm_by_hand(x.astype(float), kernel, bias), atol=2e-4 if scale > 3 else 1e-5)


def test_gradients_are_those_of_the_recurrence_though_the_stabiliser_has_none(gradients, slopes):
    layer, x = random_layer(), gates()
    random = np.random.default_rng(3)
    weights, direction = random.normal(size=(2, 7, UNITS)), random.normal(size=x.shape)
    (found,) = gradients(lambda x: layer(x) * weights.astype("float32"), x)
    kernel, bias = layer.get_weights()
    (slope,) = slopes(lambda x: slstm_by_hand(x, kernel, bias) * weights, [x.astype(float)], [direction])
    assert (found * direction).sum() == pytest.approx(slope, rel=1e-3)


def test_recurrent_weights_learn_what_the_recurrence_says(gradients, slopes):
    cell, x = SLSTMCell(UNITS, heads=HEADS), gates()
    cell.build((None, 4 * UNITS))
    random = np.random.default_rng(4)
    kernel, bias = (random.normal(size=weight.shape) / 2 for weight in cell.weights)
    directions = [random.normal(size=weight.shape) for weight in cell.weights]

    def run(kernel, bias):
        state = cell.get_initial_state(2)
        outputs = []
        for step in range(x.shape[1]):
            h, state = cell.stateless_call([kernel, bias], [], x[:, step], state)[0]
            outputs.append(h)
        return ops.stack(outputs)

    found = gradients(run, kernel.astype("float32"), bias.astype("float32"))
    expected = slopes(lambda kernel, bias: slstm_by_hand(x.astype(float), kernel, bias), [kernel, bias], directions)
    along = [(gradient * direction).sum() for gradient, direction in zip(found, directions, strict=True)]
    np.testing.assert_allclose(along, expected, rtol=1e-3)


def test_a_later_step_never_changes_an_earlier_output():
    layer, x = random_layer(), gates()
    changed = x.copy()
    changed[:, 4:] += 5
    before, after = outputs(layer, x), outputs(layer, changed)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert not np.allclose(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("masked", [0, 3, 6])
def test_a_masked_step_leaves_the_state_as_it_was(masked):
    layer, x = random_layer(), gates()
    mask = np.ones((2, 7), dtype=bool)
    mask[:, masked] = False
    seen = np.delete(np.arange(7), masked)
    with_gap = outputs(layer, x, mask=ops.convert_to_tensor(mask))
    np.testing.assert_allclose(with_gap[:, seen], outputs(layer, x[:, seen]), atol=1e-6)


def test_heads_do_not_hear_each_other():
    layer, x = random_layer(), gates()
    changed = x.reshape(2, 7, 4, HEADS, SIZE).copy()
    changed[:, :, :, 1] += 1
    before, after = outputs(layer, x), outputs(layer, changed.reshape(x.shape))
    np.testing.assert_array_equal(before[..., :SIZE], after[..., :SIZE])
    assert not np.allclose(before[..., SIZE:], after[..., SIZE:])


def test_forget_biases_fall_from_5_to_minus_7_and_nothing_is_recurrent_at_first():
    cell = SLSTMCell(8, heads=2)
    cell.build((None, 32))
    kernel, bias = cell.get_weights()
    assert not kernel.any()
    assert not bias[:, [0, 2, 3]].any()
    np.testing.assert_allclose(bias[:, 1], [[5, -3.6306772, -5.6256104, -7]] * 2, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16", "bfloat16"])
def test_half_precision_survives_extreme_gates(policy):
    layer, x = random_layer(dtype=policy), gates(steps=30, scale=30.0)
    assert np.isfinite(outputs(layer, x)).all()
    assert {weight.dtype for weight in layer.weights} == {"float32"}


def test_a_layer_comes_back_from_its_config():
    layer, x = random_layer(), gates()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(outputs(again, x), outputs(layer, x))


def test_units_that_heads_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="units must be a multiple of heads, got 7 units and 2 heads"):
        SLSTM(7, heads=2)
