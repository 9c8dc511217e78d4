"""Cross-check of two sources: differences of closes are named."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.data.cross_check import TOLERANCE, differing_closes, sentence


def closes(factors):
    days = pd.to_datetime(["2021-06-29", "2021-06-30"]).astype("datetime64[s]")
    return pd.DataFrame(
        [(day, f"T{at}", 100.0 * factor) for at, factor in enumerate(factors) for day in days],
        columns=["date", "ticker", "close"],
    )


@given(
    st.lists(st.sampled_from([1.0, 1.0001, 0.997, 1.004, 1.006, 0.99, 2.0, 0.5, 0.01, 100.0]), min_size=1, max_size=20)
)
def test_exactly_the_closes_that_differ_by_more_than_the_tolerance_are_found(factors):
    found = differing_closes(closes(factors), closes([1.0] * len(factors)))
    assert set(found["ticker"]) == {f"T{at}" for at, factor in enumerate(factors) if abs(factor - 1) > TOLERANCE}
    assert (np.diff(found["difference"]) <= 0).all()


def test_the_worst_five_are_named_with_both_values():
    said = sentence(closes([1, 1.01, 1.02, 1.03, 2.0]), closes([1] * 5), "yfinance", "tiingo")
    assert said == (
        "cross_check: 8 of 10 closes of yfinance differ from tiingo by more than 0.5%: T4 2021-06-29 200 against 100, "
        "T4 2021-06-30 200 against 100, T3 2021-06-29 103 against 100, T3 2021-06-30 103 against 100, T2 2021-06-29 102 "
        "against 100 and 3 more."
    )


def test_agreement_is_not_said_and_nothing_to_compare_is():
    assert sentence(closes([1.001, 1]), closes([1, 1]), "yfinance", "tiingo") is None
    assert "nothing was compared" in sentence(closes([1]), closes([1]).iloc[:0], "yfinance", "tiingo")


def test_a_bar_that_one_of_them_lacks_is_not_compared():
    ours, theirs = closes([1, 2]), closes([1, 1]).iloc[:2]
    theirs.loc[0, "close"] = np.nan
    assert differing_closes(ours, theirs).empty


def test_a_source_does_not_check_itself():
    with pytest.raises(ValidationError, match="cross_check=yfinance is the source itself"):
        PricesConfig(source="yfinance", tickers=("AAA",), cross_check="yfinance")
