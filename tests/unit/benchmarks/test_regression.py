from dataclasses import replace

import pytest

from benchmarks.regression import TOLERANCE, TRIES, regressions
from benchmarks.row import Row

KEPT = Row.of([(1.0, 4.0)], "features", "pandas", quick=True)


def of_ratio(ratio):
    return replace(KEPT, ratio=ratio)


def measured(*ratios):
    """A measurement that returns these ratios, one per try."""
    tries = iter(ratios)
    return lambda: [of_ratio(next(tries))]


def test_a_ratio_that_is_too_small_in_every_try_is_named_with_what_it_must_be():
    assert regressions([KEPT], measured(*[2.0] * TRIES)) == ["features, against pandas, in s: ratio 2, must be 2.8"]


def test_one_try_that_another_program_disturbed_is_no_regression():
    assert regressions([KEPT], measured(2.0, 4.0)) == []


def test_what_the_tolerance_allows_is_noise():
    assert regressions([KEPT], measured(4.0 * (1 - TOLERANCE))) == []


def test_rows_that_take_long_are_not_compared():
    assert regressions([replace(KEPT, quick=False)], list) == []


def test_a_kept_row_that_is_no_longer_measured_is_an_error():
    with pytest.raises(KeyError, match="pandas"):
        regressions([KEPT], list)
