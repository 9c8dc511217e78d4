import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foundry_tasks.features import windows
from foundry_tasks.features.cross_section import Sectors, session_rank

values = st.one_of(st.floats(-100, 100), st.just(np.nan))
matrices = arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=values)
PLAIN = {
    windows.moving_mean: np.mean,
    windows.moving_max: np.max,
    windows.moving_min: np.min,
}


@pytest.mark.parametrize("moving", PLAIN)
@given(x=matrices, window=st.integers(1, 10))
def test_a_moving_window_is_the_plain_function_of_its_known_entries(moving, x, window):
    result = moving(x, window)
    for t, i in np.ndindex(x.shape):
        entries = x[max(0, t - window + 1) : t + 1, i]
        known = entries[np.isfinite(entries)]
        enough = len(known) >= np.ceil(windows.MIN_SHARE * window)
        expected = PLAIN[moving](known) if enough else np.nan
        assert result[t, i] == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_a_window_that_does_not_move_has_no_deviation_even_after_a_shock():
    x = np.array([[0.0], [1.0], [-0.4]] + [[0.01]] * 30)
    assert np.isnan(windows.moving_std(x, 5)[-1, 0])


def test_a_price_gap_is_filled_for_a_while_and_no_longer():
    x = np.array([[1.0], [np.nan], [np.nan], [np.nan]])
    assert windows.filled(x, 2)[:, 0] == pytest.approx([1.0, 1.0, 1.0, np.nan], nan_ok=True)


def test_covariance_counts_the_rows_that_have_both():
    x = np.array([[1.0], [2.0], [np.nan], [4.0], [5.0]])
    y = np.array([[2.0], [1.0], [9.0], [3.0], [7.0]])
    assert windows.moving_covariance(x, y, 5)[-1, 0] == pytest.approx(
        np.cov(x[[0, 1, 3, 4], 0], y[[0, 1, 3, 4], 0], ddof=0)[0, 1]
    )


def test_ties_share_their_mean_rank_and_what_is_missing_has_none():
    ranks = session_rank(np.array([[3.0, 1.0, 3.0, np.nan]]))
    assert ranks[0] == pytest.approx([2 / 3, 1 / 6, 2 / 3, np.nan], nan_ok=True)


def test_a_sectors_mean_leaves_out_what_is_missing():
    means = Sectors(["B", "A", "B", "A"]).mean(np.array([[1.0, 2.0, 3.0, np.nan]]))
    assert means[0] == pytest.approx([2.0, 2.0, 2.0, 2.0])
