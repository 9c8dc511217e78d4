"""Each kind of bad bar is found, and what only looks like one is left alone."""

import numpy as np
import pytest

from foundry_tasks.data import defects

ONE = np.zeros(12, int)


def bars(close, open_=None, spread=0.01, volume=100.0):
    close = np.asarray(close, float)
    open_ = close if open_ is None else np.asarray(open_, float)
    return {
        "open": open_,
        "high": np.maximum(open_, close) * (1 + spread),
        "low": np.minimum(open_, close) * (1 - spread),
        "close": close,
        "volume": np.broadcast_to(np.asarray(volume, float), close.shape),
    }


def test_a_close_above_its_high_is_outside_the_range():
    fields = bars([10, 11, 12])
    fields["high"] = np.array([10.2, 10.5, 12.2])
    assert defects.outside_range(fields).tolist() == [False, True, False]


def test_rounding_does_not_put_a_close_outside_its_range():
    assert not defects.outside_range({"close": np.array([10.0]), "high": np.array([10.0 - 1e-9])}).any()


def test_a_move_needs_a_bar_of_the_same_ticker_before():
    move = defects.moves(np.array([0, 0, 1, 1]), np.array([10.0, 11.0, 50.0, 25.0]))
    assert np.allclose(move, [np.nan, 0.1, np.nan, -0.5], equal_nan=True)


@pytest.mark.parametrize(("after", "expected"), [(100.5, True), (75.0, False)], ids=["back", "gone for good"])
def test_a_bad_tick_is_one_that_is_back_the_next_session(after, expected):
    price = np.array([100.0, 101, 50, after, after, after])
    assert defects.reverted(np.zeros(6, int), price).tolist() == [False, False, expected, False, False, False]


@pytest.mark.parametrize("ratio", [1 / 2, 1 / 3, 0.42], ids=["2:1", "3:1", "a spin-off"])
def test_a_quiet_day_after_an_overnight_fall_is_an_unadjusted_action(ratio):
    close = np.r_[np.full(6, 100.0), np.full(6, 100.0 * ratio)]
    assert np.flatnonzero(defects.unadjusted_actions(ONE, close, bars(close))).tolist() == [6]


def test_a_crash_within_the_day_is_no_corporate_action():
    close = np.r_[np.full(6, 100.0), np.full(6, 50.0)]
    opened = close.copy()
    opened[6] = 85.0
    assert not defects.unadjusted_actions(ONE, close, bars(close, opened)).any()


def test_a_fall_on_ten_times_the_volume_is_news():
    close = np.r_[np.full(6, 100.0), np.full(6, 50.0)]
    volume = np.where(np.arange(12) == 6, 1500.0, 100.0)
    assert not defects.unadjusted_actions(ONE, close, bars(close, volume=volume)).any()


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, True), (10.0, True), (0.43, False), (1.62, False)])
def test_closes_alone_betray_only_the_ratio_of_a_split(ratio, expected):
    close = np.r_[np.full(6, 100.0), np.full(6, 100.0 * ratio)]
    assert defects.unadjusted_actions(ONE, close, {"close": close}).any() == expected


def test_unchanged_counts_sessions_within_a_ticker():
    assert defects.unchanged(np.array([0, 0, 0, 1, 1]), np.array([5.0, 5, 5, 5, 6])).tolist() == [0, 1, 2, 0, 0]


def test_a_constant_ticker_has_many_bars_and_one_price():
    ticker = np.repeat([0, 1, 2], [defects.CONSTANT_BARS, defects.CONSTANT_BARS - 1, defects.CONSTANT_BARS])
    price = np.full(len(ticker), 7.0)
    price[-1] = 8.0
    assert defects.constant(ticker, price).tolist() == (ticker == 0).tolist()


def test_skipped_sessions_count_the_gap_before_a_bar():
    assert defects.skipped_sessions(np.array([0, 0, 0, 1]), np.array([3, 4, 9, 20])).tolist() == [0, 0, 4, 0]


def test_before_last_reaches_back_within_its_ticker_alone():
    mark = np.array([False, True, False, False, False])
    assert defects.before_last(np.array([0, 0, 0, 1, 1]), mark).tolist() == [True, False, False, False, False]
