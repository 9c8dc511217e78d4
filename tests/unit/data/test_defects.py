"""Every kind of bad bar is found, and similar valid bars are kept."""

import numpy as np

from foundry_tasks.data import defects


def bars(close, spread=0.01):
    close = np.asarray(close, float)
    return {"open": close, "high": close * (1 + spread), "low": close * (1 - spread), "close": close}


def test_a_close_above_its_high_is_outside_the_range():
    fields = bars([10, 11, 12])
    fields["high"] = np.array([10.2, 10.5, 12.2])
    assert defects.outside_range(fields).tolist() == [False, True, False]


def test_rounding_does_not_put_a_close_outside_its_range():
    assert not defects.outside_range({"close": np.array([10.0]), "high": np.array([10.0 - 1e-9])}).any()


def test_unchanged_counts_sessions_within_a_ticker():
    assert defects.unchanged(np.array([0, 0, 0, 1, 1]), np.array([5.0, 5, 5, 5, 6])).tolist() == [0, 1, 2, 0, 0]


def test_a_constant_ticker_has_many_bars_and_one_price():
    ticker = np.repeat([0, 1, 2], [defects.CONSTANT_BARS, defects.CONSTANT_BARS - 1, defects.CONSTANT_BARS])
    price = np.full(len(ticker), 7.0)
    price[-1] = 8.0
    assert defects.constant(ticker, price).tolist() == (ticker == 0).tolist()


def test_skipped_sessions_count_the_gap_before_a_bar():
    assert defects.skipped_sessions(np.array([0, 0, 0, 1]), np.array([3, 4, 9, 20])).tolist() == [0, 0, 4, 0]
