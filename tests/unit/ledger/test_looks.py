"""What names the data of a look: ticker-sessions by their returns, tickers by their names."""

from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.ledger.samples import ROWS, row_sample, ticker_sample
from tests.leakage.markets import simulated_market

PRICES = simulated_market(sessions=300, tickers=40, seed=3)
TESTED = PRICES.sessions[-200:]
FOUR_ERRORS = 4 * np.sqrt(0.25 / ROWS)


def part(prices, tickers):
    fields = {name: values[:, tickers] for name, values in prices.fields.items()}
    names = tuple(np.array(prices.tickers)[tickers])
    return replace(prices, tickers=names, fields=fields, member=prices.member[:, tickers], sectors=("",) * len(names))


def scaled(prices, factor):
    return replace(prices, fields={name: values * factor for name, values in prices.fields.items()})


def test_other_names_and_another_unit_of_prices_change_nothing():
    renamed = replace(PRICES, tickers=tuple(f"M{number:03d}" for number in range(40)))
    assert row_sample(renamed, TESTED) == row_sample(PRICES, TESTED)
    assert row_sample(scaled(PRICES, 4.0), TESTED).share_in(row_sample(PRICES, TESTED)) > 0.99
    assert ticker_sample(renamed.tickers).share_in(ticker_sample(PRICES.tickers)) == 0


@pytest.mark.parametrize("kept", [20, 30, 39])
def test_a_part_of_the_tickers_is_the_same_data(kept):
    some = row_sample(part(PRICES, np.arange(kept)), TESTED)
    assert some.share_in(row_sample(PRICES, TESTED)) == 1.0
    assert abs(row_sample(PRICES, TESTED).share_in(some) - kept / 40) <= FOUR_ERRORS


@pytest.mark.parametrize("shift", [20, 60, 99])
def test_windows_overlap_by_their_common_sessions(shift):
    earlier = row_sample(PRICES, PRICES.sessions[-200 - shift : -shift])
    assert abs(row_sample(PRICES, TESTED).share_in(earlier) - (200 - shift) / 200) <= FOUR_ERRORS


def test_another_market_and_other_tickers_are_other_data():
    other = simulated_market(sessions=300, tickers=40, seed=4)
    assert row_sample(other, TESTED).share_in(row_sample(PRICES, TESTED)) == 0
    halves = [row_sample(part(PRICES, tickers), TESTED) for tickers in (np.arange(20), np.arange(20, 40))]
    assert halves[0].share_in(halves[1]) == 0


def test_prices_rounded_to_cents_are_the_same_data():
    rounded = replace(PRICES, fields={name: np.round(values, 2) for name, values in PRICES.fields.items()})
    assert row_sample(rounded, TESTED).share_in(row_sample(PRICES, TESTED)) >= 0.5
