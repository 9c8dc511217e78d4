import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from foundry_tasks.models.deep.layers.mlstm import MLSTM, mlstm_chunked, mlstm_parallel, mlstm_start, mlstm_step
from tests.unit.models.deep.layers.recurrences import mlstm_by_hand

HEADS, SIZE = 2, 3
UNITS = HEADS * SIZE


def inputs(*, steps=7, scale=2.0, seed=0):
    """q, k, v, i, f of a batch of 2; gates have standard deviation `scale`."""
    random = np.random.default_rng(seed)
    qkv = random.normal(size=(3, 2, HEADS, steps, SIZE))
    gates = scale * random.normal(size=(2, 2, HEADS, steps))
    return [x.astype("float32") for x in (*qkv, *gates)]


def array(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


def step_by_step(q, k, v, i, f):
    state, outputs = mlstm_start(ops.convert_to_tensor(q)), []
    for step in range(q.shape[2]):
        h, state = mlstm_step(q[:, :, step], k[:, :, step], v[:, :, step], i[..., step], f[..., step], state)
        outputs.append(h)
    return ops.stack(outputs, axis=2)


FORMS = {
    "parallel": mlstm_parallel,
    "chunks of 4": lambda *x: mlstm_chunked(*x, chunk_size=4),
    "step by step": step_by_step,
}


@pytest.mark.parametrize("form", FORMS)
def test_outputs_are_those_of_the_reference(market_data, compiled, form):
    reference = np.load(market_data / "xlstm_reference" / "mlstm.npz")
    q, k, v, i, f = (reference[name] for name in "qkvif")
    h = array(compiled(FORMS[form])(q, k, v, i[..., 0], f[..., 0]))
    # Outputs reach 24; a float32 has seven digits.
    np.testing.assert_allclose(h, reference["h"], rtol=5e-6, atol=1e-4)


@settings(max_examples=15)
@given(steps=st.sampled_from([1, 4, 10]), scale=st.sampled_from([0.1, 3.0, 30.0]), seed=st.integers(0, 999))
def test_parallel_chunked_and_step_by_step_agree(compiled, steps, scale, seed):
    x = inputs(steps=steps, scale=scale, seed=seed)
    expected = mlstm_by_hand(*(part.astype(float) for part in x))
    # A float32 has a sum of 10 gates of ±30 to 1e-5; the exponential makes this a relative error. It grows where |n · q| nearly
    # cancels, so it is measured relative to the step's largest output.
    tolerance = 1e-3 * np.maximum(np.abs(expected).max(), 1)
    for name, form in FORMS.items():
        assert np.abs(array(compiled(form)(*x)) - expected).max() < tolerance, name


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_the_equations(gradients, slopes, form):
    x = inputs(scale=1.0)
    random = np.random.default_rng(2)
    weights, directions = random.normal(size=x[0].shape), [random.normal(size=part.shape) for part in x]
    found = gradients(lambda *x: FORMS[form](*x) * weights.astype("float32"), *x)
    expected = slopes(lambda *x: mlstm_by_hand(*x) * weights, [part.astype(float) for part in x], directions)
    along = [(gradient * direction).sum() for gradient, direction in zip(found, directions, strict=True)]
    np.testing.assert_allclose(along, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("gate", [-300.0, -30.0, 30.0, 300.0])
@pytest.mark.parametrize("form", FORMS)
def test_extreme_gates_leave_outputs_and_gradients_finite(gradients, compiled, form, gate):
    q, k, v, i, f = inputs()
    i[..., ::2] = gate
    f[..., ::3] = -gate
    assert np.isfinite(array(compiled(FORMS[form])(q, k, v, i, f))).all()
    assert all(np.isfinite(part).all() for part in gradients(FORMS[form], q, k, v, i, f))


def random_layer(**kwargs):
    layer = MLSTM(UNITS, heads=HEADS, **kwargs)
    layer.build((None, None, 3 * UNITS))
    random = np.random.default_rng(5)
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    return layer


def qkv(*, steps=9, scale=1.0):
    return (scale * np.random.default_rng(6).normal(size=(2, steps, 3 * UNITS))).astype("float32")


def test_a_later_step_never_changes_an_earlier_output():
    layer, x = random_layer(chunk_size=4), qkv()
    changed = x.copy()
    changed[:, 5:] += 5
    before, after = array(layer(x)), array(layer(changed))
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert not np.allclose(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize("chunk_size", [4, 64])
@pytest.mark.parametrize("masked", [[0, 1, 2, 3, 4], [5], [8]])
def test_a_masked_step_leaves_the_memory_as_it_was(masked, chunk_size):
    layer, x = random_layer(chunk_size=chunk_size), qkv()
    mask = np.ones((2, 9), dtype=bool)
    mask[:, masked] = False
    seen = np.delete(np.arange(9), masked)
    with_gap = array(layer(x, mask=ops.convert_to_tensor(mask)))
    assert np.isfinite(with_gap).all()
    np.testing.assert_allclose(with_gap[:, seen], array(layer(x[:, seen])), rtol=1e-4, atol=1e-5)


def test_a_window_masked_throughout_has_finite_gradients(gradients):
    layer, mask = random_layer(), ops.convert_to_tensor(np.zeros((2, 9), dtype=bool))
    (found,) = gradients(lambda x: layer(x, mask=mask), qkv())
    assert np.isfinite(found).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("chunk_size", [8, 64])
def test_half_precision_survives_extreme_gates(policy, chunk_size):
    layer = random_layer(chunk_size=chunk_size, dtype=policy)
    layer.gates.bias.assign([30.0, -30.0, -30.0, 30.0])
    h = layer(qkv(steps=30, scale=8.0).astype("float16"))
    assert keras.backend.standardize_dtype(h.dtype) == layer.compute_dtype
    assert np.isfinite(array(h)).all()


def test_a_head_starts_by_forgetting_at_a_rate_of_its_own():
    layer = MLSTM(UNITS, heads=HEADS)
    layer.build((None, 9, 3 * UNITS))
    kernel, bias = layer.get_weights()
    assert not kernel.any()
    np.testing.assert_allclose(bias, [0, 0, 3, 6])


def test_a_layer_comes_back_from_its_config():
    layer, x = random_layer(chunk_size=4), qkv()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again.set_weights(layer.get_weights())
    assert again.chunk_size == 4
    np.testing.assert_array_equal(array(again(x)), array(layer(x)))
