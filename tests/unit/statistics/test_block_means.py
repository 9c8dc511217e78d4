"""Intervals of means and ratios by blocks of sessions: their size, and what they are in simple cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gate_errors import CHUNK, figures_without_skill
from foundry_tasks.statistics.block_means import BlockRule, block_length, mean_interval, ratio_interval

RULE = BlockRule(confidence=0.95, min_blocks=12)
REPEATS = 20_000


@pytest.mark.slow(12)
@pytest.mark.parametrize("persistence", [0.9, 1])
@pytest.mark.parametrize(("horizon", "blocks"), [(1, 18), (5, 18), (20, 12), (20, 18)])
def test_a_lower_bound_of_noise_is_above_zero_in_at_most_3_2_percent(horizon, blocks, persistence):
    """Nominal: 2.5 %."""
    above = sum(
        mean_interval(series, horizon=horizon, rule=RULE).lower > 0
        for chunk in figures_without_skill(horizon, blocks, persistence, chunks=REPEATS // CHUNK, seed=horizon * blocks)
        for series in chunk
    )
    assert above / REPEATS <= 0.032


def test_blocks_are_ten_sessions_or_three_horizons():
    assert [block_length(h) for h in (1, 5, 20)] == [10, 15, 60]


def test_the_interval_of_independent_sessions_is_that_of_the_central_limit_theorem():
    series = np.random.default_rng(3).normal(0.5, 0.1, 2000)
    interval = mean_interval(series, horizon=1, rule=RULE)
    assert interval.upper - interval.lower == pytest.approx(2 * 1.96 * 0.1 / np.sqrt(2000), rel=0.15)


def test_twelve_blocks_by_hand():
    """Student's t with 11 degrees of freedom has its 97.5 % quantile at 2.200985."""
    by_block = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.0])
    found = mean_interval(np.repeat(by_block, 10), horizon=1, rule=RULE)
    assert found.value == pytest.approx(6.5)
    assert found.upper - 6.5 == pytest.approx(2.200985 * by_block.std(ddof=1) / np.sqrt(12))
    longer = mean_interval(np.repeat(by_block, 60), horizon=20, rule=RULE)
    overlap = 1 - 399 / 3600
    assert longer.upper - 6.5 == pytest.approx((found.upper - 6.5) / np.sqrt(overlap))


@pytest.mark.parametrize("horizon", [5, 20])
def test_the_correction_is_the_share_of_the_variance_that_block_means_of_overlapping_sums_have(horizon):
    """Weights of the returns in a block's sum: their squares add up to its variance."""
    block = block_length(horizon)
    weights = np.convolve(np.ones(block), np.ones(horizon))
    assert np.square(weights).sum() / (block * horizon**2) == pytest.approx(
        1 - (horizon**2 - 1) / (3 * horizon * block)
    )


def test_too_few_blocks_leave_the_interval_undefined():
    interval = mean_interval(np.ones(119), horizon=1, rule=RULE)
    assert interval.blocks == 11
    assert not interval.defined
    assert not mean_interval(np.ones(19), horizon=1, rule=BlockRule(0.95, 1)).defined


def test_no_session_with_a_figure_leaves_the_mean_undefined():
    assert np.isnan(mean_interval(np.full(300, np.nan), horizon=1, rule=RULE).value)


@given(st.integers(120, 400), st.integers(0, 2**32 - 1), st.floats(-100, 100), st.floats(0.01, 100))
def test_an_interval_moves_and_stretches_with_its_figure_and_ignores_sessions_without_one(n, seed, shift, scale):
    series = np.random.default_rng(seed).normal(size=n)
    plain = mean_interval(series, horizon=1, rule=RULE)
    moved = mean_interval(np.insert(shift + scale * series, n // 2, np.nan), horizon=1, rule=RULE)
    assert plain.lower <= plain.value <= plain.upper
    assert plain.value == pytest.approx(series.mean())
    for side in ("value", "lower", "upper"):
        assert getattr(moved, side) == pytest.approx(shift + scale * getattr(plain, side), abs=1e-9 * (100 + scale))


@given(st.integers(0, 2**32 - 1))
def test_a_ratio_to_a_constant_is_a_mean_and_an_exact_ratio_has_no_error(seed):
    rng = np.random.default_rng(seed)
    figure, weight = rng.normal(size=180), rng.random(180) + 0.1
    mean, ratio = (
        mean_interval(figure, horizon=1, rule=RULE),
        ratio_interval(figure, np.full(180, 2.0), horizon=1, rule=RULE),
    )
    assert (ratio.lower, ratio.upper) == pytest.approx((mean.lower / 2, mean.upper / 2))
    exact = ratio_interval(0.3 * weight, weight, horizon=1, rule=RULE)
    assert (exact.value, exact.lower, exact.upper) == pytest.approx((0.3, 0.3, 0.3))
