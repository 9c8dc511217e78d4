import numpy as np
from keras import ops

from foundry_tasks.models.deep.layers.causal_convolution import CausalConvolution


def layer(kernel, bias):
    convolution = CausalConvolution(kernel_size=len(kernel))
    convolution.build((None, None, len(bias)))
    convolution.set_weights([np.array(kernel), np.array(bias)])
    return convolution


def test_a_step_is_the_weighted_sum_of_the_last_ones_of_its_own_unit():
    convolution = layer([[1.0, 10.0], [2.0, 0.0], [3.0, 0.0]], [0.5, 0.0])
    x = np.array([[[1, 1], [10, 2], [100, 3], [1000, 4]]], dtype="float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(convolution(x))[0], [[1.5, 10], [12.5, 20], [123.5, 30], [1230.5, 40]]
    )


def test_a_masked_step_counts_as_nothing():
    convolution = layer([[1.0], [1.0]], [0.0])
    x = np.array([[[5], [7], [1]]], dtype="float32")
    mask = ops.convert_to_tensor(np.array([[True, False, True]]))
    np.testing.assert_allclose(ops.convert_to_numpy(convolution(x, mask=mask))[0, :, 0], [5, 5, 1])
