import bottleneck as bn
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from foundry_tasks.data.ranks import session_ranks

few_values = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 2**-52, 1.0 - 2**-53, -1.0, 5e-324, 2.0, np.inf, -np.inf, np.nan])


def same_as_bottleneck(values):
    np.testing.assert_array_equal(session_ranks(values), bn.nanrankdata(values, axis=-1))


@given(arrays(np.float64, array_shapes(max_dims=2, max_side=40), elements=few_values))
def test_ties_the_smallest_differences_and_what_is_not_finite_rank_as_bottleneck_has_them(values):
    same_as_bottleneck(values)


@given(arrays(np.float64, (3, 30), elements=st.floats(allow_nan=True)))
def test_any_float_ranks_as_bottleneck_has_it(values):
    same_as_bottleneck(values)


@given(seed=st.integers(0, 2**32), decimals=st.integers(1, 17), n_tickers=st.integers(1, 700))
def test_sessions_of_many_tickers_rank_as_bottleneck_has_them(seed, decimals, n_tickers):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(60, n_tickers)).round(decimals)
    values[rng.random(values.shape) < 0.05] = np.nan
    same_as_bottleneck(values)


def test_a_nan_of_either_sign_is_kept_and_takes_no_rank():
    np.testing.assert_array_equal(session_ranks(np.array([[-np.nan, 3.0, np.nan, 2.0]])), [[np.nan, 2.0, np.nan, 1.0]])


def test_single_precision_and_several_panels_at_once_are_ranked_too():
    values = np.random.default_rng(0).normal(size=(4, 7, 50)).astype(np.float32)
    np.testing.assert_array_equal(session_ranks(values), bn.nanrankdata(values, axis=2))


def test_nothing_has_no_ranks():
    assert session_ranks(np.empty((0, 5))).shape == (0, 5)
