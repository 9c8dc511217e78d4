"""Labels by hand: start of the return, missing labels, the median for relative labels, and size of the move."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.data.panel import PricePanel
from foundry_tasks.features.labels import (
    LEAST_MOVE,
    MIN_GROUP,
    build_labels,
    forward_returns,
    label_span,
    realised_volatility,
)

NAN = np.nan


def panel(close, *, opened=None, adjusted=None, sectors=None, member=None):
    """A market from a list of sessions, each a list of closes."""
    close = np.array(close, dtype=float)
    fields = {"close": close}
    if opened is not None:
        fields["open"] = np.array(opened, dtype=float)
    if adjusted is not None:
        fields["adj_close"] = np.array(adjusted, dtype=float)
    return PricePanel(
        sessions=np.datetime64("2026-01-05") + np.arange(len(close)),
        tickers=tuple("ABCDEFGH"[: close.shape[1]]),
        fields=fields,
        member=np.ones(close.shape, bool) if member is None else np.array(member),
        sectors=sectors or ("",) * close.shape[1],
    )


def column(*values):
    return [[value] for value in values]


# ------------------------------------------------------------------ returns
def test_a_return_is_counted_from_the_close_of_t_by_default():
    returns = forward_returns(panel(column(100, 110, 99, 198)), 2, "close")
    np.testing.assert_allclose(returns[:, 0], [-0.01, 0.8, NAN, NAN])


def test_a_later_entry_moves_the_whole_holding_period_by_one_session():
    market = panel(column(100, 110, 99, 198), opened=column(50, 100, 120, 90))
    np.testing.assert_allclose(forward_returns(market, 1, "next_close")[:, 0], [-0.1, 1.0, NAN, NAN])
    np.testing.assert_allclose(forward_returns(market, 1, "next_open")[:, 0], [0.2, -0.25, NAN, NAN])


@pytest.mark.parametrize("entry", ["close", "next_open", "next_close"])
@pytest.mark.parametrize("horizon", [1, 3])
def test_the_reach_is_how_many_sessions_ahead_a_label_looks(entry, horizon):
    close = np.cumprod(np.full((12, 1), 1.01), axis=0)
    market = panel(close, opened=close)
    known = np.isfinite(forward_returns(market, horizon, entry)[:, 0])
    assert known.sum() == 12 - label_span(horizon, entry)
    assert not known[-label_span(horizon, entry) :].any()
    last = np.flatnonzero(known)[-1]
    poisoned = close.copy()
    poisoned[last + label_span(horizon, entry)] = NAN
    assert np.isnan(forward_returns(panel(poisoned, opened=poisoned), horizon, entry)[last, 0])


def test_returns_are_made_of_adjusted_prices_where_there_are_any():
    market = panel(column(100, 50), adjusted=column(50, 50), opened=column(90, 45))
    assert forward_returns(market, 1, "close")[0, 0] == 0.0, "a split is no fall"
    later = panel(column(100, 100, 50), adjusted=column(50, 50, 50), opened=column(90, 90, 45))
    assert forward_returns(later, 1, "next_open")[0, 0] == 0.0


def test_without_opens_nothing_is_counted_from_the_open():
    assert np.isnan(forward_returns(panel(column(1, 2, 3)), 1, "next_open")).all()


def test_a_horizon_longer_than_the_prices_has_no_return():
    assert np.isnan(forward_returns(panel(column(1, 2, 3)), 5, "close")).all()


def test_a_missing_price_at_either_end_leaves_no_return():
    returns = forward_returns(panel(column(1, NAN, 3, 4)), 1, "close")
    assert np.isfinite(returns[:, 0]).tolist() == [False, False, True, False]


def test_who_was_no_member_at_t_has_no_label_but_may_leave_before_it_matures():
    market = panel(column(100, 110, 121, 133.1), member=column(False, True, False, True))
    labels = build_labels(market, 1)
    assert np.isfinite(labels.up[:, 0]).tolist() == [False, True, False, False]


# ------------------------------------------------------------------ labels
def test_up_is_a_price_above_the_entry_and_an_equal_one_is_not():
    np.testing.assert_array_equal(build_labels(panel(column(10, 11, 11, 9)), 1).up[:, 0], [1, 0, 0, NAN])


def test_median_is_above_that_sessions_median_and_the_ticker_at_it_is_not():
    market = panel([[100] * 5, [101, 102, 103, 104, 105]])
    np.testing.assert_array_equal(build_labels(market, 1).median[0], [0, 0, 0, 1, 1])


def test_non_members_do_not_move_the_median():
    market = panel([[100] * 5, [101, 102, 103, 300, 400]], member=[[True, True, True, False, False]] * 2)
    np.testing.assert_array_equal(build_labels(market, 1).median[0], [0, 0, 1, NAN, NAN])


def test_fewer_than_three_returns_have_no_median():
    market = panel([[100] * 3, [101, 102, NAN]])
    labels = build_labels(market, 1)
    assert np.isnan(labels.median[0]).all()
    np.testing.assert_array_equal(labels.up[0], [1, 1, NAN])


def test_a_single_ticker_has_up_and_down_alone():
    labels = build_labels(panel(column(10, 11, 12)), 1)
    np.testing.assert_array_equal(labels.up[:, 0], [1, 1, NAN])
    assert np.isnan(labels.median).all()
    assert np.isnan(labels.sector).all()


def test_sector_is_above_the_median_of_the_tickers_own_sector():
    sectors = ("X", "X", "X", "Y", "Y", "Y")
    market = panel([[100] * 6, [101, 102, 103, 111, 112, 113]], sectors=sectors)
    labels = build_labels(market, 1)
    np.testing.assert_array_equal(labels.median[0], [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(labels.sector[0], [0, 0, 1, 0, 0, 1])


def test_who_has_no_sector_or_a_sector_too_small_is_held_against_the_session():
    sectors = ("X", "X", "X", "Y", "Y", "")
    market = panel([[100] * 6, [101, 102, 103, 111, 112, 113]], sectors=sectors)
    np.testing.assert_array_equal(build_labels(market, 1).sector[0], [0, 0, 1, 1, 1, 1])


def test_without_sectors_the_sector_label_is_the_median_label():
    labels = build_labels(panel([[100] * 4, [101, 102, 103, 104]]), 1)
    np.testing.assert_array_equal(labels.sector, labels.median)


@pytest.mark.parametrize("entry", ["close", "next_open", "next_close"])
def test_what_lies_beyond_its_reach_never_moves_a_label(make_market, entry):
    market, t = make_market(n_sessions=60), 30
    before = build_labels(market, 5, entry)
    end = t + label_span(5, entry) + 1
    fields = {name: values.copy() for name, values in market.fields.items()}
    for values in fields.values():
        values[end:] = NAN
    after = build_labels(replace(market, fields=fields), 5, entry)
    for kind in ("up", "median", "sector", "size", "volatility"):
        np.testing.assert_array_equal(getattr(after, kind)[: t + 1], getattr(before, kind)[: t + 1])


# ------------------------------------------------------------------ how far a price moves
ENTRIES = st.sampled_from(["close", "next_open", "next_close"])


@st.composite
def markets(draw, *, n_sessions=12, n_tickers=5):
    """Random walks with any start, halts, and tickers that join and leave."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    close = 50 * np.exp(
        np.cumsum(rng.normal(0, draw(st.sampled_from([0.0, 0.001, 0.3])), (n_sessions, n_tickers)), axis=0)
    )
    opened = close * np.exp(rng.normal(0, 0.01, close.shape))
    for values in (close, opened):
        values[rng.random(close.shape) < draw(st.sampled_from([0.0, 0.1]))] = NAN
    return panel(close, opened=opened, member=rng.random(close.shape) < draw(st.sampled_from([0.6, 1.0])))


def test_a_volatility_is_the_root_mean_square_of_the_returns_on_the_way():
    market = panel(column(100, 110, 99, 99, 108.9), opened=column(1, 100, 120, 90, 99))
    expected = np.sqrt([(0.1**2 + 0.1**2) / 2, 0.1**2 / 2, 0.1**2 / 2])
    np.testing.assert_allclose(realised_volatility(market, 2, "close")[:, 0], [*expected, NAN, NAN])
    np.testing.assert_allclose(realised_volatility(market, 2, "next_close")[:, 0], [*expected[1:], NAN, NAN, NAN])
    np.testing.assert_allclose(
        realised_volatility(market, 2, "next_open")[:, 0],
        [np.sqrt((0.2**2 + 0.25**2) / 2), np.sqrt((0.25**2 + 0.1**2) / 2), NAN, NAN, NAN],
    )


@given(market=markets(), entry=ENTRIES)
def test_the_volatility_of_one_day_is_the_size_of_its_return(market, entry):
    np.testing.assert_array_equal(realised_volatility(market, 1, entry), np.abs(forward_returns(market, 1, entry)))


@given(market=markets(), entry=ENTRIES, horizon=st.integers(1, 14))
def test_a_volatility_is_known_where_every_price_on_the_way_is_and_a_return_is_within_what_it_allows(
    market, entry, horizon
):
    volatility, returns = realised_volatility(market, horizon, entry), forward_returns(market, horizon, entry)
    known = np.isfinite(volatility)
    assert not (known & np.isnan(returns)).any()
    assert (np.log1p(returns[known]) <= horizon * np.log1p(volatility[known]) + 1e-12).all()
    price = market.adjusted("open") if entry == "next_open" else market.adjusted_close
    lag = 0 if entry == "close" else 1
    for t, ticker in np.argwhere(market.member):
        way = price[t + lag : t + lag + horizon + 1, ticker]
        assert known[t, ticker] == (len(way) == horizon + 1 and np.isfinite(way).all())


@given(market=markets(), entry=ENTRIES, horizon=st.integers(1, 6))
def test_sizes_and_volatilities_are_relative_to_their_session_and_finite_where_nothing_moved(market, entry, horizon):
    labels = build_labels(market, horizon, entry)
    returns, volatility = labels.forward_return, realised_volatility(market, horizon, entry)
    for t in range(len(returns)):
        known = np.isfinite(returns[t])
        np.testing.assert_array_equal(np.isfinite(labels.size[t]), known & (known.sum() >= MIN_GROUP))
        if known.sum() >= MIN_GROUP and np.abs(returns[t][known]).mean() > LEAST_MOVE:
            assert labels.size[t][known].mean() == pytest.approx(1, rel=1e-5)
        known = np.isfinite(volatility[t])
        np.testing.assert_array_equal(np.isfinite(labels.volatility[t]), known & (known.sum() >= MIN_GROUP))
        if known.sum() >= MIN_GROUP:
            assert labels.volatility[t][known].mean() == pytest.approx(0, abs=1e-5)
            assert np.abs(labels.volatility[t][known]).max() < 20


def test_a_size_is_the_move_over_the_sessions_mean_move_and_a_volatility_the_logarithm_of_a_ratio():
    labels = build_labels(panel([[100, 100, 100], [101, 98, 100], [101, 98, 100]]), 1)
    np.testing.assert_allclose(labels.size, [[1, 2, 0], [0, 0, 0], [NAN] * 3], rtol=1e-6)
    logarithm = np.log([0.01, 0.02, LEAST_MOVE])
    np.testing.assert_allclose(labels.volatility[0], logarithm - logarithm.mean(), rtol=1e-6)
    np.testing.assert_array_equal(labels.volatility[1:], [[0, 0, 0], [NAN] * 3])


def test_non_members_move_no_mean():
    market = panel([[100] * 5, [101, 102, 103, 300, 400]], member=[[True, True, True, False, False]] * 2)
    np.testing.assert_allclose(build_labels(market, 1).size[0], [0.5, 1, 1.5, NAN, NAN], rtol=1e-6)
