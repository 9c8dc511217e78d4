"""Sectors are point in time where a file dates them; what has no dates is said to be hindsight."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.dates import NO_END, NO_START
from foundry_tasks.data.market_files import read_sectors
from foundry_tasks.data.panel import PricePanel
from foundry_tasks.data.sectors import HINDSIGHT, DatedSectors, SectorSpan, hindsight_in, on_sessions, overlaps
from foundry_tasks.data.tables import read_prices, write_prices
from foundry_tasks.evaluation.growing_history import GrowingHistory

SESSIONS = np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]")
TICKERS = ("A", "B", "BRK-B")


def sectors(folder, *lines, header="ticker,sector,start_date,end_date"):
    path = folder / "s.csv"
    path.write_text("\n".join((header, *lines)) + "\n")
    return read_sectors(path)


def by_session(found):
    """Ticker → its sector in each session."""
    last, dated = on_sessions(found, SESSIONS, TICKERS)
    if dated is None:
        return {ticker: [sector] * len(SESSIONS) for ticker, sector in zip(TICKERS, last, strict=True)}
    return {ticker: [dated.names[code] for code in dated.code[:, at]] for at, ticker in enumerate(TICKERS)}


def panel(dated):
    close = np.random.default_rng(0).uniform(5, 9, (len(SESSIONS), len(TICKERS)))
    return PricePanel(SESSIONS, TICKERS, {"close": close}, close > 0, dated.last, dated_sectors=dated)


@pytest.fixture
def dated(tmp_path):
    _, found = on_sessions(
        sectors(tmp_path, "A,Energy,,2020-01-04", "A,Utilities,2020-01-05,", "B,Energy,2020-01-03,2020-01-08"),
        SESSIONS, TICKERS,
    )  # fmt: skip
    return found


def test_a_ticker_has_the_sector_of_the_day(tmp_path):
    found = sectors(tmp_path, "A,Energy,,2020-01-04", "A,Utilities,2020-01-05,", "B,Energy,2020-01-03,2020-01-08")
    known = by_session(found)
    assert known["A"] == ["Energy"] * 4 + ["Utilities"] * 6
    assert known["B"] == ["", ""] + ["Energy"] * 6 + ["", ""]
    assert known["BRK-B"] == [""] * 10


def test_sectors_that_never_change_are_one_a_ticker_with_or_without_dates(tmp_path):
    one = on_sessions(sectors(tmp_path, "A,Energy", header="ticker,sector"), SESSIONS, TICKERS)
    assert one == (("Energy", "", ""), None)
    assert on_sessions(sectors(tmp_path, "A,Energy,2019-01-01,"), SESSIONS, TICKERS) == one


def test_a_file_without_both_columns_has_no_dates(tmp_path):
    found = sectors(tmp_path, "A,Energy,2020-01-05", header="ticker,sector,start_date")
    assert by_session(found)["A"] == ["Energy"] * 10
    assert hindsight_in(found, "s.csv") == HINDSIGHT


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["A,Energy,2019-01-01,"], "point in time from s.csv"),
        (["A,Energy,,2020-01-03", "A,Utilities,2020-01-04,"], "not fully point in time: 1 of 2 sectors in s.csv"),
        (["A,Energy,,", "B,Energy,,"], HINDSIGHT),
        ([], ""),
    ],
)
def test_whether_sectors_are_point_in_time_is_said(tmp_path, lines, says):
    assert hindsight_in(sectors(tmp_path, *lines) if lines else {}, "s.csv").startswith(says)


def test_every_overlap_is_refused_by_row_also_under_two_spellings(tmp_path):
    with pytest.raises(DataRejectedError) as refused:
        sectors(
            tmp_path,
            "A,Energy,,2020-01-05", "B,Energy,2019-01-01,2020-01-01", "A,Utilities,2020-01-05,", "B,Energy,2019-06-01,",
            "BRK.B,x,2020-01-02,", "BRK-B,y,2020-01-01,2020-01-03",
        )  # fmt: skip
    _, _, told = str(refused.value).partition("s.csv: ")
    assert told == (
        "rows 1 and 3: A has several sectors on 2020-01-05, Energy and Utilities; rows 5 and 6: BRK-B has several sectors on "
        "2020-01-02, as BRK.B and BRK-B, x and y. End one before the next starts."
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(["x", "y"]), st.integers(0, 9), st.integers(0, 9)).map(
            lambda row: (row[0], *sorted(row[1:]))
        ),
        max_size=5,
    )
)
def test_two_sectors_on_one_date_are_found_and_nothing_else_is(rows):
    spans = [SectorSpan(sector, SESSIONS[first], SESSIONS[last], dated=True) for sector, first, last in rows]
    clash = {
        (a, b)
        for a, one in enumerate(spans)
        for b, other in enumerate(spans)
        if a < b and one.sector != other.sector and one.first <= other.last and other.first <= one.last
    }
    assert set(overlaps(spans)) == clash


def test_dated_sectors_come_back_from_a_file_as_a_whole_and_in_part(dated, tmp_path):
    whole = panel(dated)
    write_prices(tmp_path / "p.parquet", whole)
    back = read_prices(tmp_path / "p.parquet")
    cut = read_prices(tmp_path / "p.parquet", (SESSIONS[2].item(), SESSIONS[5].item()))
    for found, wanted in ((back, whole), (cut, whole.part(slice(2, 6)))):
        names = np.array(found.dated_sectors.names)[found.dated_sectors.code]
        assert np.array_equal(names, np.array(dated.names)[wanted.dated_sectors.code])
        assert found.sectors == wanted.sectors
    write_prices(tmp_path / "again.parquet", back)
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "p.parquet").read_bytes()


def test_sectors_of_a_cut_history_are_those_of_its_last_session(dated):
    whole = panel(dated)
    assert whole.sectors == ("Utilities", "", "")
    assert whole.up_to(4).sectors == ("Energy", "Energy", "")


def test_a_simulation_knows_no_sector_of_a_later_session(dated):
    growing = GrowingHistory(panel(dated))
    for session in range(4):
        growing.learn(session)
    known = growing.panel()
    assert known.sectors == ("Energy", "Energy", "")
    assert len(known.dated_sectors.code) == 4


def test_segments_keep_the_sectors_of_their_ticker(dated):
    broken = replace(panel(dated), breaks=np.zeros((len(SESSIONS), len(TICKERS)), bool))
    broken.breaks[6, 0] = True
    columns, _ = broken.segments()
    assert np.array_equal(columns.dated_sectors.code[:, 3], dated.code[:, 0])


def test_many_sectors_keep_their_names_in_a_file(tmp_path):
    names = tuple(f"s{number:03d}" for number in range(300))
    code = np.random.default_rng(1).integers(0, 300, (len(SESSIONS), 3)).astype(np.int16)
    write_prices(tmp_path / "p.parquet", panel(DatedSectors(names, code)))
    found = read_prices(tmp_path / "p.parquet").dated_sectors
    assert np.array_equal(np.array(found.names)[found.code], np.array(names)[code])


def test_dates_of_spans_without_them_are_before_and_after_all_sessions():
    assert SESSIONS[0] > NO_START
    assert SESSIONS[-1] < NO_END
