"""Point in time: features, labels and membership up to a session do not depend on later data."""

from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.data.sectors import DatedSectors
from foundry_tasks.data.universe import Universe, first_to_last_bar, universe_index
from foundry_tasks.features import build_features
from foundry_tasks.features.labels import build_labels, label_span
from foundry_tasks.models.design import build_design
from tests.leakage.ragged import DIES, DIES_AT, HALTED, JOINS, JOINS_AT, LEAVES, LEAVES_AT, ragged_market, with_future

CUTS = (256, JOINS_AT - 1, 297, LEAVES_AT - 1, 310, DIES_AT - 1)
"""Sessions after which the future differs: during halts, and directly before a ticker joins, leaves or is delisted."""
FUTURES = ("gone", "noise", "shuffled")
KINDS = ("forward_return", "up", "median", "sector", "size", "volatility")
at_each_cut = pytest.mark.parametrize("at", CUTS)
in_each_future = pytest.mark.parametrize("future", FUTURES)
at_each_entry = pytest.mark.parametrize("entry", ["close", "next_open", "next_close"])


@pytest.fixture(scope="module")
def prices():
    return ragged_market()


@pytest.fixture(scope="module")
def features(prices):
    return build_features(prices, "extended").panel


def same_up_to(at, before, after):
    for name, values in before.items():
        np.testing.assert_array_equal(after[name][: at + 1], values[: at + 1], err_msg=name)


# ------------------------------------------------------------------ features
@at_each_cut
def test_features_of_prices_that_end_at_t_are_those_of_the_whole_history(prices, features, at):
    same_up_to(at, features, build_features(prices.up_to(at + 1), "extended").panel)


@in_each_future
@at_each_cut
def test_features_up_to_t_are_the_same_in_every_future(prices, features, at, future):
    other = build_features(with_future(prices, at, future), "extended").panel
    same_up_to(at, features, other)
    assert not np.array_equal(other.values, features.values, equal_nan=True), "the poison is one"


def test_who_joins_tomorrow_has_no_features_today_and_who_left_has_none_any_more(features):
    has = np.isfinite(features["ret_1d"])
    assert np.flatnonzero(has[:, JOINS])[0] == JOINS_AT
    assert np.flatnonzero(has[:, LEAVES])[-1] == LEAVES_AT - 1
    assert np.flatnonzero(has[:, DIES])[-1] == DIES_AT - 1


def test_a_halted_ticker_has_no_features_until_it_is_back(prices, features):
    halted = np.isnan(prices.fields["close"][:, HALTED])
    assert halted.any()
    assert np.isnan(features.values[:, halted, HALTED]).all()


@at_each_cut
def test_a_dividend_paid_after_t_moves_no_feature_up_to_t(prices, at):
    """A source divides the adjusted closes before a dividend by it; closes and volumes stay as they are."""
    cents = 1 - np.random.default_rng(at).uniform(0, 0.03, len(prices.tickers))
    raw = prices.fields["close"]
    paid = np.where(np.arange(len(raw))[:, None] <= at, raw * cents, raw)
    known = build_features(replace(prices, fields={**prices.fields, "adj_close": raw}), "extended").panel
    later = build_features(replace(prices, fields={**prices.fields, "adj_close": paid}), "extended").panel
    for name, values in known.items():
        np.testing.assert_allclose(later[name][: at + 1], values[: at + 1], rtol=1e-4, atol=1e-5, err_msg=name)


@at_each_cut
def test_a_sector_that_a_ticker_has_after_t_moves_nothing_up_to_t(prices, at):
    rng, names = np.random.default_rng(at), tuple("ABCD")
    code = rng.integers(0, len(names), prices.member.shape).astype(np.int16)
    later = np.where(np.arange(len(code))[:, None] <= at, code, rng.integers(0, len(names), code.shape)).astype(
        np.int16
    )
    then, other = (
        replace(prices, sectors=found.last, dated_sectors=found)
        for found in (DatedSectors(names, code), DatedSectors(names, later))
    )
    same_up_to(at, build_features(then, "extended").panel, build_features(other, "extended").panel)
    np.testing.assert_array_equal(build_labels(other, 5).sector[: at + 1], build_labels(then, 5).sector[: at + 1])


@at_each_cut
def test_rows_of_base_models_up_to_t_are_the_same_in_every_future(features, at):
    whole = build_design(features, "rank")
    spoilt = replace(features, values=features.values.copy())
    spoilt.values[:, at + 1 :] = np.random.default_rng(0).normal(size=spoilt.values[:, at + 1 :].shape)
    other, rows = build_design(spoilt, "rank"), whole.rows(0, at + 1)
    np.testing.assert_array_equal(other.values[rows], whole.values[rows])
    np.testing.assert_array_equal(other.volatility[: at + 1], whole.volatility[: at + 1])


# ------------------------------------------------------------------ labels
@at_each_entry
@at_each_cut
def test_a_label_is_known_once_its_reach_is_over_and_not_before(prices, at, entry):
    whole, then = build_labels(prices, 5, entry), build_labels(prices.up_to(at + 1), 5, entry)
    ended = at + 1 - label_span(5, entry)
    for kind in KINDS:
        np.testing.assert_array_equal(getattr(then, kind)[:ended], getattr(whole, kind)[:ended])
        assert np.isnan(getattr(then, kind)[ended:]).all()
    assert np.isfinite(whole.up[ended]).any()


@at_each_entry
@in_each_future
def test_a_label_that_has_ended_is_the_same_in_every_future(prices, future, entry):
    for at in CUTS:
        whole, other = build_labels(prices, 5, entry), build_labels(with_future(prices, at, future), 5, entry)
        ended = at + 1 - label_span(5, entry)
        for kind in KINDS:
            np.testing.assert_array_equal(getattr(other, kind)[:ended], getattr(whole, kind)[:ended])


@at_each_entry
def test_a_label_asks_nothing_of_the_sessions_before_its_own(prices, entry):
    """Otherwise a model could read part of the label from its features."""
    at = 270
    rng = np.random.default_rng(5)

    def another_past(_, values):
        changed = values.copy()
        changed[:at] *= np.exp(rng.normal(0, 0.5, changed[:at].shape))
        return changed

    whole, other = build_labels(prices, 5, entry), build_labels(prices.mapped(another_past), 5, entry)
    for kind in KINDS:
        np.testing.assert_array_equal(getattr(other, kind)[at:], getattr(whole, kind)[at:])


def test_membership_of_tomorrow_says_nothing_about_todays_labels(prices):
    has = np.isfinite(build_labels(prices, 1).up)
    assert np.flatnonzero(has[:, JOINS])[0] == JOINS_AT
    assert np.flatnonzero(has[:, LEAVES])[-1] == LEAVES_AT - 1, "its last label matures after it has left"


# ------------------------------------------------------------------ membership
def test_a_universe_file_makes_nobody_a_member_before_the_day_it_joined():
    sessions = np.arange("2026-01-05", "2026-01-10", dtype="datetime64[D]")
    starts, ends = (np.array([day], dtype="datetime64[D]") for day in ("2026-01-07", "2026-01-08"))
    member = Universe("file", ("A",), starts, ends).members(sessions, ("A",))
    assert member[:, 0].tolist() == [False, False, True, True, False]


@at_each_cut
def test_without_a_file_whoever_has_a_bar_is_a_member_then_as_in_hindsight(prices, at):
    """Delisted tickers are members until they are delisted. A universe of survivors would use later knowledge."""
    bars = np.isfinite(prices.fields["close"])
    whole, then = first_to_last_bar(bars), first_to_last_bar(bars[: at + 1])
    np.testing.assert_array_equal((then & bars[: at + 1]), (whole[: at + 1] & bars[: at + 1]))
    assert whole[:DIES_AT, DIES].all()


@in_each_future
@at_each_cut
def test_the_universes_index_up_to_t_is_the_same_in_every_future(prices, at, future):
    whole, other = universe_index(prices), universe_index(with_future(prices, at, future))
    np.testing.assert_array_equal(other[: at + 1], whole[: at + 1])


def test_the_universes_index_earns_with_a_joiner_from_the_session_after_it_joined(prices):
    jump = prices.fields["close"].copy()
    jump[JOINS_AT:, JOINS] *= 5
    leaping = universe_index(replace(prices, fields={**prices.fields, "close": jump}))
    np.testing.assert_allclose(leaping, universe_index(prices), rtol=1e-12)
