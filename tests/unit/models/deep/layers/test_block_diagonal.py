import numpy as np
import pytest
from keras import ops

from foundry_tasks.models.deep.layers.block_diagonal import BlockDiagonalDense, block_diagonal


def test_each_group_is_a_matrix_of_its_own_blocks_and_zeros():
    kernel = np.arange(1, 17, dtype="float32").reshape(2, 2, 2, 2)
    matrix = ops.convert_to_numpy(block_diagonal(ops.convert_to_tensor(kernel)))
    assert matrix.shape == (4, 8)
    for group in range(2):
        of_group = matrix[:, 4 * group : 4 * group + 4]
        np.testing.assert_array_equal(of_group[:2, :2], kernel[0, :, group])
        np.testing.assert_array_equal(of_group[2:, 2:], kernel[1, :, group])
        assert not of_group[:2, 2:].any()
        assert not of_group[2:, :2].any()


def test_a_block_sees_its_own_units_alone():
    layer, x = BlockDiagonalDense(blocks=2, groups=1), np.ones((1, 3, 6), dtype="float32")
    before = ops.convert_to_numpy(layer(x))
    x[..., 3:] = 2
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x))[..., :3], before[..., :3])


def test_it_keeps_the_scale_of_what_it_is_given():
    x = np.random.default_rng(0).normal(size=(8, 10, 64)).astype("float32")
    out = ops.convert_to_numpy(BlockDiagonalDense(blocks=2, groups=3)(x))
    assert out.shape == (8, 10, 192)
    assert out.std() == pytest.approx(1, abs=0.1)


def test_units_that_blocks_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="units must be a multiple of blocks, got 5 units and 2 blocks"):
        BlockDiagonalDense(blocks=2, groups=1).build((None, 3, 5))
