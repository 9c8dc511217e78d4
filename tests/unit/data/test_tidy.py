"""The tidy frame has one schema for all column names of sources."""

import pandas as pd
import pytest

from foundry_tasks.contract.config import PRICE_COLUMNS
from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.frames import read_frame
from foundry_tasks.data.tidy import COLUMNS, tidy


@pytest.mark.parametrize(
    "columns",
    [
        ("date", "ticker", "close", "adj_close", "volume"),
        ("Date", "Symbol", "Close", "Adj Close", "Volume"),
        ("DATE", "Name", "CLOSE", "Adjusted Close", "Vol"),
        ("datetime", "code", "close", "AdjClose", "volume"),
    ],
)
def test_usual_synonyms_are_understood_in_any_case(columns):
    frame = tidy(pd.DataFrame([["2020-01-02", "A", 2.0, 1.0, 5]], columns=list(columns)), where="here")
    assert list(frame.columns) == ["date", "ticker", "close", "adj_close", "volume"]
    assert frame.iloc[0].tolist() == [pd.Timestamp("2020-01-02"), "A", 2.0, 1.0, 5.0]


def test_a_ticker_column_goes_before_a_name_column():
    raw = pd.DataFrame({"name": ["Agilent"], "ticker": ["A"], "date": ["2020-01-02"], "close": [1.0]})
    assert tidy(raw, where="here")["ticker"].tolist() == ["A"]


def test_a_single_series_without_tickers_is_named_by_its_reader():
    raw = pd.DataFrame({"close": [1.0]}, index=pd.DatetimeIndex(["2020-01-02"], name="Date"))
    assert tidy(raw, where="here", ticker="SPY")["ticker"].tolist() == ["SPY"]


def test_an_adjusted_close_alone_serves_as_close():
    raw = pd.DataFrame({"date": ["2020-01-02"], "ticker": ["A"], "adj close": [3.0]})
    assert list(tidy(raw, where="here").columns) == ["date", "ticker", "close"]


def test_companies_called_na_and_true_stay_companies(tmp_path):
    path = tmp_path / "bars.csv"
    path.write_text("Date,Symbol,Close,Volume\n2020-01-02,NA,1.5,\n2020-01-02,TRUE,NA,7\n2020-01-02,NULL,2,n/a\n")
    with pytest.raises(DataRejectedError, match=r"column volume holds text in 1 row.s., such as 'n/a'"):
        tidy(read_frame(path), where="here")
    path.write_text(path.read_text().replace("n/a", "N/A"))
    frame = tidy(read_frame(path), where="here")
    assert frame["ticker"].tolist() == ["NA", "TRUE", "NULL"]
    assert frame["close"].isna().tolist() == [False, True, False]


def test_what_is_missing_is_said_with_what_is_there():
    with pytest.raises(DataRejectedError, match="here: no column close, ticker; it has date, price"):
        tidy(pd.DataFrame({"date": ["2020-01-02"], "price": [1.0]}), where="here")


def test_every_column_of_the_schema_can_be_declared():
    assert PRICE_COLUMNS == COLUMNS


def test_a_missing_close_is_said_with_what_may_be_it():
    raw = pd.DataFrame({"date": ["2020-01-02"], "ticker": ["A"], "Last": [1.0]})
    with pytest.raises(
        DataRejectedError, match=r'Is Last the close\? Then write columns = {close = "Last"} in the market file'
    ):
        tidy(raw, where="here")
    assert tidy(raw, where="here", columns={"close": "Last"})["close"].tolist() == [1.0]


def test_a_thousand_columns_are_one_short_line():
    raw = pd.DataFrame([range(1000)], columns=[f"T{at}" for at in range(1000)])
    with pytest.raises(DataRejectedError, match=r"it has T0, T1, .* and 988 more") as error:
        tidy(raw, where="here")
    assert len(str(error.value)) < 500
