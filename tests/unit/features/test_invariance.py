from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.features import FEATURES, build_features

PRICES = ("open", "high", "low", "close", "adj_close")


def moved(a, b, tolerance=1e-5):
    """Names of the features that differ."""
    return {
        name
        for name, x, y in zip(a.names, a.values, b.values, strict=True)
        if not np.allclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True)
    }


def split(market, ticker, factor, until):
    """The source's history after a later split: prices before session `until` are multiplied, volumes divided."""

    def change(name, values):
        if values.ndim == 1:
            return values
        values = values.copy()
        if name in PRICES:
            values[:until, ticker] *= factor
        else:
            values[:until, ticker] /= factor
        return values

    return market.mapped(change)


def paid(market, ticker, factor, until):
    """The source's history after a dividend at session `until`: only the adjusted closes before it are multiplied."""
    adjusted = market.fields["adj_close"].copy()
    adjusted[:until, ticker] *= factor
    return replace(market, fields={**market.fields, "adj_close": adjusted})


ACTIONS = pytest.mark.parametrize("action", [split, paid])


@ACTIONS
@pytest.mark.parametrize("factor", [0.5, 1 / 3, 0.97, 20.0])
@pytest.mark.parametrize("until", [260, 320])
def test_a_later_split_or_dividend_moves_no_feature_of_the_sessions_before(market, action, factor, until):
    before = build_features(market, "extended").panel.up_to(until)
    after = build_features(action(market, 3, factor, until), "extended").panel.up_to(until)
    assert {feature.name for feature in FEATURES} == set(before.names)
    assert not moved(before, after)


@ACTIONS
def test_a_power_of_two_moves_no_feature_by_a_bit(market, action):
    before = build_features(market, "extended").panel
    after = build_features(action(market, 3, 0.5, len(market.sessions)), "extended").panel
    assert not moved(before, after, tolerance=0)


def test_the_order_of_tickers_makes_no_difference(market):
    order = np.random.default_rng(1).permutation(len(market.tickers))
    shuffled = replace(
        market,
        tickers=tuple(market.tickers[i] for i in order),
        sectors=tuple(market.sectors[i] for i in order),
        fields={name: values[:, order] for name, values in market.fields.items()},
        member=market.member[:, order],
    )
    before = build_features(market, "extended").panel
    after = build_features(shuffled, "extended").panel
    assert not moved(replace(before, values=before.values[:, :, order]), after)


@pytest.mark.parametrize("threads", [2, 5])
def test_the_number_of_threads_moves_no_bit(market, threads):
    before = build_features(market, "extended").panel
    after = build_features(market, "extended", threads=threads).panel
    np.testing.assert_array_equal(before.values.view(np.uint32), after.values.view(np.uint32))


def test_how_prices_lie_in_memory_moves_no_bit(market):
    before = build_features(market, "extended").panel
    after = build_features(market.mapped(lambda _, values: np.asfortranarray(values)), "extended").panel
    np.testing.assert_array_equal(before.values.view(np.uint32), after.values.view(np.uint32))


def test_rows_outside_membership_are_nan_and_reach_nobody_else(market):
    member = market.member.copy()
    member[:, 4] = False
    masked = replace(market, member=member)
    wild = masked.mapped(lambda _, values: wilder(values, 4))
    before, after = (build_features(panel, "extended").panel for panel in (masked, wild))
    assert np.isnan(before.values[:, :, 4]).all()
    assert not moved(before, after, tolerance=0)


def wilder(values, ticker):
    if values.ndim == 1:
        return values
    values = values.copy()
    values[:, ticker] *= np.exp(np.random.default_rng(2).normal(0, 1, len(values)))
    return values


def test_a_ticker_keeps_its_own_history_from_before_it_was_a_member(market):
    member = market.member.copy()
    member[:300, 4] = False
    late = build_features(replace(market, member=member), "core").panel
    always = build_features(market, "core").panel
    assert np.array_equal(late.values[:, 300:, 4], always.values[:, 300:, 4], equal_nan=True)


def test_a_session_without_a_bar_has_no_features_and_the_next_one_spans_the_gap(make_market):
    market = make_market(missing=0)
    close = market.fields["adj_close"]
    holed = market.mapped(lambda _, values: holes(values))
    panel = build_features(holed, "extended").panel
    assert np.isnan(panel.values[:, 310, 2]).all()
    assert panel["ret_1d"][311, 2] == pytest.approx(close[311, 2] / close[309, 2] - 1, rel=1e-5)


def holes(values):
    if values.ndim == 1:
        return values
    values = values.copy()
    values[310, 2] = np.nan
    return values
