"""A ticker has one identity in all files, with any spelling of its share class."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.tickers import as_prices_write, identity, one_spelling, renamed, spelled_otherwise, ticker_text
from tests.market_bars import sound_bars


@given(st.text("ABCxyz019", min_size=1), st.text("ABC", min_size=1), st.tuples(*2 * [st.sampled_from("./-_ ")]))
def test_separators_of_a_class_are_alike_and_all_else_tells_tickers_apart(root, share, separators):
    one, other = (f"{root}{separator}{share}" for separator in separators)
    assert identity(one) == identity(f" {other} ")
    assert identity(one) not in {identity(root), identity(root + share), identity(share)}


@pytest.mark.parametrize(("one", "other"), [("VOD", "VOD.L"), ("BRK.A", "BRK.B"), ("aapl", "AAPL"), ("001", "1")])
def test_a_suffix_a_class_case_and_leading_zeros_tell_tickers_apart(one, other):
    assert identity(one) != identity(other)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ([14593.0, 10107.0], ["14593", "10107"]),
        ([14593.0, np.nan], ["14593", None]),
        ([14593, 10107], ["14593", "10107"]),
        (["14593.0", " 10107.0"], ["14593", "10107"]),
        (["14593.0", "10107", None], ["14593", "10107", None]),
        (["14593.0", "AAPL"], ["14593.0", "AAPL"]),
        (["000001", "600000"], ["000001", "600000"]),
        (["0001.0", "2.0"], ["0001.0", "2.0"]),
        (["NA", "TRUE", "NAN", "NULL"], ["NA", "TRUE", "NAN", "NULL"]),
        (pd.Categorical(["B ", "A"]), ["B", "A"]),
    ],
    ids=str,
)
def test_tickers_are_read_as_they_were_meant(written, read):
    found = ticker_text(pd.Series(written))
    assert [None if pd.isna(name) else name for name in found] == read


def test_names_of_other_places_are_matched_to_the_prices_own_and_that_is_said():
    priced = ("AAPL", "BF-B", "BRK-B")
    assert as_prices_write(("BRK/B", "AAPL", "ZZZ"), priced) == {"BRK/B": "BRK-B", "AAPL": "AAPL"}
    assert renamed({"BRK.B": "Financials", "ZZZ": "Tech"}, priced) == {"BRK-B": "Financials", "ZZZ": "Tech"}
    assert spelled_otherwise(("BRK/B", "BF B", "AAPL"), priced, "universe") == (
        "universe: BF B is BF-B in the prices, BRK/B is BRK-B in the prices; matched."
    )
    assert not spelled_otherwise(priced, priced, "universe")


def test_two_spellings_with_different_bars_are_refused_and_with_the_same_bars_are_one():
    one, other = sound_bars(("BRK.B",), seed=1), sound_bars(("BRK-B",), seed=2)
    with pytest.raises(DataRejectedError, match=r"BRK-B and BRK\.B are one ticker in two spellings"):
        one_spelling(pd.concat([one, other]), "here")
    said = []
    found = one_spelling(pd.concat([one, one.assign(ticker="BRK-B")[::-1]], ignore_index=True), "here", said)
    assert set(found["ticker"]) == {"BRK-B"}
    assert len(found) == len(one)
    assert said == ["BRK.B repeats the bars of BRK-B, another spelling of it, and is left out"]
