"""Dates: one format per column, never guessed."""

from datetime import date

import pandas as pd
import pytest

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.dates import calendar_dates, written_dates

DAYS = [date(2020, 1, 2), date(2020, 1, 31)]


@pytest.mark.parametrize(
    "written",
    [
        ["2020-01-02", "2020-01-31"],
        ["2020-01-02T00:00:00-05:00", "2020-01-31T00:00:00-04:00"],
        ["2020-01-02 16:00:00", "2020-01-31 16:00:00"],
        ["20200102", "20200131"],
        [20200102, 20200131],
        ["01/02/2020", "01/31/2020"],
        ["02/01/2020", "31/01/2020"],
        ["02.01.2020", "31.01.2020"],
        ["02-Jan-2020", "31-Jan-2020"],
        ["Jan 02, 2020", "Jan 31, 2020"],
        DAYS,
        pd.to_datetime(DAYS),
        pd.to_datetime(DAYS).tz_localize("Asia/Tokyo"),
        pd.to_datetime(DAYS) + pd.Timedelta(hours=16),
    ],
    ids=repr,
)
def test_every_usual_way_to_write_a_date_is_read(written):
    assert [day.date() for day in calendar_dates(pd.Series(written), "here")] == DAYS


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (["2020-01-02", "01/03/2020"], "more than one format, such as '2020-01-02' and '01/03/2020'"),
        (["13/01/2020", "01/13/2020"], "more than one format"),
        (["02/01/2020", "03/01/2020"], "day or month first"),
        (["2020-02-30", "2020-01-03"], "'2020-02-30' is no date of the calendar"),
        (["yesterday", "today"], "no date that Foundry can read"),
        (["2020-01-02", "1066-10-14"], "1066-10-14 is no date of a market"),
        (["2020-01-02", "9999-12-31"], "9999-12-31 is no date of a market"),
        (["2020-01-02", None], "without a date"),
    ],
)
def test_dates_that_cannot_be_read_for_sure_are_refused(written, says):
    with pytest.raises(DataRejectedError, match=says):
        calendar_dates(pd.Series(written), "here")


@pytest.mark.parametrize(
    ("unit", "name"), [("s", "seconds"), ("ms", "milliseconds"), ("us", "microseconds"), ("ns", "nanoseconds")]
)
@pytest.mark.parametrize("hours", [0, 5, 21])
def test_numbers_since_1970_are_dates_in_the_unit_that_their_size_tells(unit, name, hours):
    days = pd.Series(pd.date_range("1990-01-02", "2024-03-08", freq="B"))
    numbers = (days + pd.Timedelta(hours=hours)).to_numpy().astype(f"datetime64[{unit}]").astype("int64")
    for column in (pd.Series(numbers), pd.Series(numbers.astype(str))):
        assert (calendar_dates(column, "here").to_numpy() == days.to_numpy()).all()
    assert written_dates(pd.Series(numbers.astype(str)), "here")[1] == f"as {name} since 1970, in UTC"


def test_numbers_of_two_units_are_refused():
    with pytest.raises(DataRejectedError, match="is no date"):
        calendar_dates(pd.Series(["1577923200", "1577923200000"]), "here")
