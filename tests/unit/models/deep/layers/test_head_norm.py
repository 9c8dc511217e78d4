import numpy as np
import pytest
from keras import ops

from foundry_tasks.models.deep.layers.head_norm import HeadNorm


def test_each_head_has_mean_0_and_deviation_1_at_each_step():
    x = np.random.default_rng(0).normal(3, [1] * 8 + [1000] * 8, size=(4, 5, 16)).astype("float32")
    heads = ops.convert_to_numpy(HeadNorm(heads=2)(x)).reshape(4, 5, 2, 8)
    np.testing.assert_allclose(heads.mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(heads.std(axis=-1), 1, atol=1e-3)


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_moments_are_float32_where_the_squares_overflow_half_precision(policy):
    x = np.array([[[-60000.0, 60000.0]]], dtype="float16")
    np.testing.assert_allclose(ops.convert_to_numpy(HeadNorm(heads=1, dtype=policy)(x)), [[[-1, 1]]], atol=1e-3)
