"""Forward passes in NumPy equal Keras' on TensorFlow: equal log-odds for any weights and windows."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tasks.models.deep.deep_classifier import NETWORKS
from foundry_tasks.models.deep.training import _policy, _scoring_weights

INPUTS = 5
PLAIN, DENOISED = ("xlstm_ts", False), ("xlstm_ts", True)
KINDS = [("lstm_transformer", False), PLAIN, DENOISED]
SHAPES = [(4, 8, 1), (7, 16, 2), (20, 32, 2), (20, 64, 4), (70, 16, 3)]
"""Steps, width, blocks: sLSTM last, in the middle, or absent; also windows longer than a chunk of Keras' mLSTM."""
kinds = pytest.mark.parametrize(("name", "denoise"), KINDS)


@cache
def built(name, denoise, steps, width, blocks):
    """The network and its initial weights."""
    network = NETWORKS[name].build(
        steps=steps, inputs=INPUTS, width=width, blocks=blocks, **({"denoise": True} if denoise else {})
    )
    return network, network.get_weights()


def shapes_of(name, steps, width, blocks):
    return NETWORKS[name].shapes(steps=steps, inputs=INPUTS, width=width, blocks=blocks)


def by_numpy(name, denoise, shape, weights, windows):
    left = iter(weights)
    parts = {part: {key: next(left) for key in keys} for part, keys in shapes_of(name, *shape).items()}
    log_odds = NETWORKS[name].log_odds(windows, parts, **({"denoise": True} if denoise else {}))
    assert log_odds.dtype == np.float32
    return log_odds


def by_keras(name, denoise, shape, weights, windows):
    network, _ = built(name, denoise, *shape)
    network.set_weights(weights)
    return np.asarray(network(windows)["sign"])[:, 0]


def assert_equal_to_float32(one, other, inputs):
    """Assert equality within 1e-5, or within a few times the effect of a window's last bit if that is larger.

    Measured over 720 networks: Keras and NumPy differ by at most 3.1e-5; beyond 1e-5 by at most 1.5 times the effect of
    a last bit. inputs: name, denoise, shape, weights, windows.
    """
    *network, windows = inputs
    rng, sound = np.random.default_rng(0), by_numpy(*inputs)
    signs = (rng.choice([-1, 1], size=windows.shape) for _ in range(4))
    moved = [by_numpy(*network, (windows * (1 + sign * np.finfo(np.float32).eps)).astype(np.float32)) for sign in signs]
    allowed = 1e-5 + 8 * np.abs(np.stack(moved) - sound).max(axis=0)
    assert np.median(allowed) < 5e-5
    np.testing.assert_array_less(np.abs(one - other), allowed)


def unlike_a_new_network(weights, rng, spread):
    """Random weights. A new network has recurrent kernels of 0, norms of 1 and closed gates, which would hide errors."""
    return [(weight + spread * rng.normal(size=weight.shape)).astype(np.float32) for weight in weights]


def any_windows(rng, steps, n=24):
    """Windows: noise, clipped values, late starts, missing values, a missing last step, constants, all missing."""
    windows = rng.normal(size=(n, steps, INPUTS))
    windows[:4] = rng.choice([-5, 0, 5], size=windows[:4].shape)
    windows[4:7, : steps // 2] = 0
    windows[7:10][rng.random((3, steps)) < 0.3] = 0
    windows[10, -1] = 0
    windows[11, :-1] = 0
    windows[12:16] = rng.choice([-5, 5, 0.1, 1e-4], size=(4, 1, INPUTS))
    windows[16] = 0
    windows[17:20] = windows[17:20].cumsum(axis=1) / 3
    return windows.astype(np.float32)


@kinds
@settings(max_examples=25, deadline=None)
@given(shape=st.sampled_from(SHAPES), seed=st.integers(0, 2**32), spread=st.sampled_from([0.0, 0.02, 0.08]))
def test_numpy_says_what_keras_says(name, denoise, shape, seed, spread):
    rng = np.random.default_rng(seed)
    _, new = built(name, denoise, *shape)
    inputs = (name, denoise, shape, unlike_a_new_network(new, rng, spread), any_windows(rng, shape[0]))
    assert_equal_to_float32(by_numpy(*inputs), by_keras(*inputs), inputs)


@kinds
def test_huge_weights_give_finite_log_odds(name, denoise):
    shape, rng = (20, 16, 3), np.random.default_rng(3)
    _, new = built(name, denoise, *shape)
    for spread in (1.0, 30.0):
        inputs = (name, denoise, shape, unlike_a_new_network(new, rng, spread), any_windows(rng, shape[0]))
        ours = by_numpy(*inputs)
        assert np.isfinite(ours).all()
        assert np.corrcoef(ours, by_keras(*inputs))[0, 1] > 0.99


@pytest.mark.parametrize("shape", SHAPES)
@kinds
def test_weights_have_the_shapes_and_the_order_in_which_keras_has_them(name, denoise, shape):
    network, _ = built(name, denoise, *shape)
    ours = [one for part in shapes_of(name, *shape).values() for one in part.values()]
    assert ours == [tuple(weight.shape) for weight in network.weights]


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_saved_of_any_precision_and_of_any_heads_is_what_numpy_reads(name, precision):
    tasks = {"tasks": NETWORKS[name].tasks} if len(NETWORKS[name].tasks) > 1 else {}
    with _policy(precision):
        trained = NETWORKS[name].build(steps=7, inputs=INPUTS, width=16, blocks=2, **tasks)
    inputs = (name, False, (7, 16, 2), _scoring_weights(trained), any_windows(np.random.default_rng(1), 7))
    assert_equal_to_float32(by_numpy(*inputs), by_keras(*inputs), inputs)


@pytest.mark.parametrize(("name", "denoise"), KINDS)
def test_rows_beside_a_row_change_its_last_bits_at_most(name, denoise):
    shape, rng = (20, 32, 2), np.random.default_rng(4)
    _, new = built(name, denoise, *shape)
    windows = any_windows(rng, shape[0])
    weights = unlike_a_new_network(new, rng, 0.05)
    inputs = (name, denoise, shape, weights, windows[5:9])
    assert_equal_to_float32(by_numpy(*inputs), by_numpy(*inputs[:-1], windows)[5:9], inputs)
