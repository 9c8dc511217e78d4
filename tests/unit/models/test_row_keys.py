"""Keys of rows: all spellings of a date are equal; an error names rows without a key."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.models.row_keys import read_keys

WEDNESDAY, THURSDAY = date(2021, 6, 30), date(2021, 7, 1)
DAY_0 = date(1970, 1, 1)
UNITS = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
WRITTEN = {
    "ISO": str,
    "ISO at midnight": lambda day: f"{day}T00:00:00.000",
    "ISO with a zone": lambda day: f"{day} 00:00:00-04:00",
    "ISO in UTC": lambda day: f"{day}T00:00:00Z",
    "with spaces": lambda day: f" {day} ",
    "compact": lambda day: f"{day:%Y%m%d}",
    "compact number": lambda day: int(f"{day:%Y%m%d}"),
    "date": lambda day: day,
    "datetime": lambda day: pd.Timestamp(day).to_pydatetime(),
    "Timestamp": pd.Timestamp,
    "Timestamp with a zone": lambda day: pd.Timestamp(day, tz="America/New_York"),
    **{unit: (lambda day, a_day=a_day: (day - DAY_0).days * a_day) for unit, a_day in UNITS.items()},
    "ms as float": lambda day: float((day - DAY_0).days * UNITS["ms"]),
    "ms as text": lambda day: str((day - DAY_0).days * UNITS["ms"]),
    "ms as text of a float": lambda day: str(float((day - DAY_0).days * UNITS["ms"])),
}
days = st.dates(date(1971, 1, 1), date(2199, 12, 31)).filter(lambda day: day.weekday() < 5)


def read(dates, tickers=None, calendar=None):
    tickers = [f"T{number}" for number in range(len(dates))] if tickers is None else tickers
    return read_keys(pd.DataFrame({"date": dates, "ticker": tickers}), calendar)


@given(st.lists(st.tuples(days, st.sampled_from(list(WRITTEN))), min_size=1, max_size=8))
def test_a_date_is_the_same_however_it_is_written_and_beside_whatever_else(rows):
    read_days, _ = read(pd.Series([WRITTEN[kind](day) for day, kind in rows], dtype=object))
    assert read_days.tolist() == [day for day, _ in rows]


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_column_of_one_kind_is_read_as_pandas_types_it(kind):
    read_days, _ = read([WRITTEN[kind](day) for day in (WEDNESDAY, THURSDAY)])
    assert read_days.tolist() == [WEDNESDAY, THURSDAY]


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_numbers_that_pandas_took_for_nanoseconds_are_read_by_their_size(unit):
    number = (WEDNESDAY - DAY_0).days * UNITS[unit]
    read_days, _ = read(pd.to_datetime([number, number]))
    assert read_days.tolist() == [WEDNESDAY, WEDNESDAY]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        *(
            (missing, "date is missing")
            for missing in (None, float("nan"), pd.NaT, pd.NA, "", " ", "None", "nan", "NaT")
        ),
        ("2021-06-30T16:00:00", "date '2021-06-30T16:00:00' has a time of day"),
        ("2021-06-30 00:00:00.000001", "has a time of day"),
        (pd.Timestamp("2021-06-30 00:00:00.000000001"), "has a time of day"),
        (1_625_025_600_000, "date '1625025600000' has a time of day"),
        ("30/06/2021", "date '30/06/2021' is no date that the model can read"),
        ("06-30-21", "no date that the model can read"),
        ("2021-06-30 or so", "no date that the model can read"),
        ("today", "no date that the model can read"),
        (True, "no date that the model can read"),
        (float("inf"), "no date that the model can read"),
        (20210630.5, "no date that the model can read"),
        ([2021, 6, 30], "no date that the model can read"),
        ((2021, 6, 30), "no date that the model can read"),
        ("2021-02-30", "is not a day of the calendar"),
        (20211301, "is not a day of the calendar"),
        (0, "is neither YYYYMMDD nor seconds"),
        (-1_625_011_200_000, "is neither YYYYMMDD nor seconds"),
        ("9" * 5000, "no date that the model can read"),
        ("9999-12-31", "is no date of a market"),
        ("1815-06-19", "is no date of a market"),
        ("2021-07-03", "2021-07-03 is no weekday"),
    ],
)
def test_what_is_no_session_is_refused_with_its_row_in_one_line(value, fault):
    with pytest.raises(DataRejectedError) as refused:
        read(pd.Series([WEDNESDAY, value, THURSDAY], dtype=object))
    line = str(refused.value)
    assert line.startswith("row 2 of 3 (the first row is 1): ")
    assert fault in line
    assert len(line) < 260


def test_a_holiday_of_the_calendar_is_refused_and_a_session_of_it_is_not():
    independence_day_observed = date(2021, 7, 5)
    with pytest.raises(DataRejectedError, match=r"row 1 of 1 .*: 2021-07-05 is no session of XNYS\. Send the sessions"):
        read([independence_day_observed], calendar="XNYS")
    assert read([independence_day_observed], calendar="XLON")[0].tolist() == [independence_day_observed]
    assert read([date(2021, 7, 4)], calendar="24/7")[0].tolist() == [date(2021, 7, 4)]


def test_a_day_beyond_the_calendar_says_what_to_do():
    with pytest.raises(DataRejectedError, match=r"row.* 1950-01-04 to 2021-06-30 is more than the calendar XSHG knows"):
        read([WEDNESDAY, date(1950, 1, 4)], calendar="XSHG")


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, "", "  ", "None", "nan", "<NA>"])
def test_a_missing_ticker_is_refused_by_row(missing):
    with pytest.raises(DataRejectedError, match=r"rows 1, 3 of 4 \(the first row is 1\): ticker is missing. .*NA"):
        read([WEDNESDAY] * 4, pd.Series([missing, "A", missing, "B"], dtype=object))


def test_tickers_that_look_like_nothing_or_like_numbers_are_tickers():
    tickers = ["NA", "NAN", "NULL", "TRUE", "INF", "0700", 700, 7203.0, "1E5"]
    _, named = read([WEDNESDAY] * len(tickers), pd.Series(tickers, dtype=object))
    assert named.tolist() == ["NA", "NAN", "NULL", "TRUE", "INF", "0700", "700", "7203", "1E5"]


@pytest.mark.parametrize("value", [1.5, True, ["A"], ("A", "B"), {"name": "A"}, b"A"])
def test_what_is_no_text_is_no_ticker(value):
    with pytest.raises(DataRejectedError, match=r"row 2 of 2 .*: ticker .*"):
        read([WEDNESDAY] * 2, pd.Series(["A", value], dtype=object))


def test_a_key_that_is_there_twice_is_refused_however_it_is_written():
    with pytest.raises(DataRejectedError, match=r"rows 1, 3 of 3 .*: 2021-06-30 'A' is there more than once. Send"):
        read(pd.Series(["2021-06-30", "2021-06-30", 20210630], dtype=object), ["A", "B", "A "])


def test_many_wrong_rows_are_counted():
    with pytest.raises(DataRejectedError, match=r"rows 1, 2, 3, 4, 5 and 1,995 more of 2,000 \(the first"):
        read(["soon"] * 2000)
