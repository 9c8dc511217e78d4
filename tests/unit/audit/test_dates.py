"""Sessions at which the leakage audit cuts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.audit.dates import cut_sessions, edge_sessions
from foundry_tasks.features import factors
from foundry_tasks.features.build import BLOCK_SESSIONS
from foundry_tasks.features.factors import MIN_WINDOW_SESSIONS, REFIT_SESSIONS, factor_residuals


def test_edges_by_hand():
    assert edge_sessions(100, 200) == {"factor refit": (105, 147, 189), "block": ()}
    assert edge_sessions(1343, 1345)["block"] == (1343, 1344)
    assert edge_sessions(1344, 1344) == {"factor refit": (), "block": ()}


@given(st.integers(10, 9000), st.integers(1, 5), st.integers(0, 2**32))
def test_dates_are_distinct_in_the_later_half_and_hold_an_edge_of_each_kind(n_sessions, count, seed):
    dates = cut_sessions(n_sessions, count := min(count, n_sessions - 1 - n_sessions // 2), np.random.default_rng(seed))
    assert dates == sorted(set(dates))
    assert len(dates) == count
    assert all(n_sessions // 2 <= at < n_sessions - 1 for at in dates)
    edges = [set(kind) for kind in edge_sessions(n_sessions // 2, n_sessions - 1).values() if kind]
    assert all(set(dates) & kind for kind in edges[:count])


@pytest.mark.parametrize("late", [1, 2, 5])
def test_a_window_of_factors_that_ends_late_changes_the_past_of_its_refits_alone(late, monkeypatch):
    """So that a cut anywhere else cannot find it. One session late is the refit's own, which is no leak."""
    returns = np.random.default_rng(0).normal(size=(300, 12))
    real = factors._block_residuals
    starts = iter(())
    monkeypatch.setattr(
        factors,
        "_block_residuals",
        lambda _, block: real(seen[max(0, (at := next(starts)) - 252) : at + late], block),
    )

    def residuals(seen_until):
        nonlocal seen, starts
        seen, starts = returns[:seen_until], iter(range(MIN_WINDOW_SESSIONS, seen_until, REFIT_SESSIONS))
        return factor_residuals(seen)

    seen = returns
    whole = residuals(300)
    found = [at for at in range(150, 299) if not np.array_equal(residuals(at + 1), whole[: at + 1], equal_nan=True)]
    edges = edge_sessions(0, 299)["factor refit"]
    assert found == [at + k for at in edges for k in range(late - 1) if 150 <= at + k < 299]


def test_blocks_begin_with_no_refit_and_hold_whole_ones():
    assert BLOCK_SESSIONS % REFIT_SESSIONS == 0
