"""For all compressions, encodings and layouts of a file: the same prices, or one line with the reason."""

import json
import subprocess
import sys
import zipfile
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import ConfigError, FoundryError
from foundry_tasks.data.market_files import read_sectors, read_series
from foundry_tasks.data.price_source import open_source
from foundry_tasks.data.sources.parquet import FileSource
from foundry_tasks.data.universe import read_universe
from tests.cases.damage import KINDS
from tests.cases.files import market, packed, pairs, text, wide_closes, write

BARS = market()
PACKINGS = ("", ".gz", ".bz2", ".xz", ".zst", ".zip")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")


def source(path: Path) -> FileSource:
    return open_source(PricesConfig(source="parquet", prices=str(path)))


def tidy(path: Path) -> pd.DataFrame:
    return source(path).fetch((), None, None)


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["ticker", "date"], ignore_index=True)


def refusal(path: Path) -> str:
    with pytest.raises(FoundryError) as caught:
        tidy(path)
    line = str(caught.value).replace(str(path.parent), "")
    assert len(line) <= 300
    return line


def same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Whether both are equal bit for bit."""
    found, wanted = ordered(found), ordered(wanted)
    assert list(found.columns) == list(wanted.columns)
    assert found["ticker"].tolist() == wanted["ticker"].tolist()
    assert (found["date"].to_numpy() == wanted["date"].to_numpy()).all()
    for name in found.columns[2:]:
        assert found[name].to_numpy().tobytes() == wanted[name].to_numpy(np.float64).tobytes(), name


# ---------------------------------------------------------------- the property
FRAMES = {
    "long": (BARS, False),
    "wide": (wide_closes(BARS).rename_axis(index="Date"), True),
    "wide, unnamed dates": (wide_closes(BARS).rename_axis(index=None), True),
    "pairs": (pairs(BARS), True),
    "pairs, unnamed dates": (pairs(BARS).rename_axis(index=None), True),
    "pairs, ticker first": (pairs(BARS, ticker_first=True), True),
    "joined names": (pairs(BARS).set_axis([f"{a}_{b}" for a, b in pairs(BARS).columns], axis=1), True),
}
"""A frame, and whether its dates are in the index."""


def wanted_of(layout: str) -> pd.DataFrame:
    return BARS[["date", "ticker", "close"]] if layout.startswith("wide") else BARS


@settings(max_examples=150, derandomize=True, phases=[Phase.generate])
@given(
    layout=st.sampled_from(sorted(FRAMES)),
    encoding=st.sampled_from(ENCODINGS),
    packing=st.sampled_from(PACKINGS),
    ending=st.sampled_from([".csv", ".txt", ".TSV"]),
    notation=st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", ".")]),
    dates=st.sampled_from(
        ["%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M"]
    ),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
)
@pytest.mark.slow(10)
def test_text_of_any_layout_notation_encoding_and_packing_gives_the_same_bits(
    tmp_path_factory, layout, encoding, packing, ending, notation, dates, newline
):
    frame, index = FRAMES[layout]
    written = text(frame, index=index, separator=notation[0], decimal=notation[1], dates=dates)
    path = tmp_path_factory.mktemp("text") / f"bars{ending}{packing}"
    write(path, packed(written.replace("\n", newline).encode(encoding), packing, name="bars.csv"))
    same(tidy(path), wanted_of(layout))


PARQUET_DATES = {
    "text": lambda dates: dates.dt.strftime("%Y-%m-%d"),
    "date32": lambda dates: dates.dt.date,
    "seconds": lambda dates: dates,
    "microseconds": lambda dates: dates.astype("datetime64[us]"),
    "New York": lambda dates: dates.dt.tz_localize("America/New_York"),
}


@pytest.mark.parametrize(
    ("layout", "dates", "compression"),
    [
        *product(sorted(FRAMES), PARQUET_DATES, ["zstd"]),
        *product(["long"], ["date32"], ["snappy", "gzip", "lz4", "brotli", None]),
    ],
)
def test_parquet_of_any_layout_and_type_gives_the_same_bits(tmp_path, layout, dates, compression):
    frame, index = FRAMES[layout]
    if index:
        frame = frame.set_axis(pd.Index(PARQUET_DATES[dates](pd.Series(frame.index)), name=frame.index.name), axis=0)
    else:
        frame = frame.assign(date=PARQUET_DATES[dates](frame["date"])).astype({"ticker": "category"})
    path = tmp_path / "bars.parquet"
    frame.to_parquet(path, compression=compression)
    same(tidy(path), wanted_of(layout))
    write(tmp_path / "packed" / "bars.parquet.gz", packed(path.read_bytes(), ".gz", name=""))
    same(tidy(tmp_path / "packed"), wanted_of(layout))


# ---------------------------------------------------------------- what is recognised, and said
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            text(BARS, separator=";", decimal=",", dates="%d.%m.%Y").encode(),
            "bars.csv: fields separated by ';'; decimal comma; dates written dd.mm.yyyy, day first.",
        ),
        (text(BARS, dates="%d/%m/%Y").encode(), "bars.csv: dates written dd/mm/yyyy, day first."),
        (text(BARS).encode("utf-16"), "bars.csv: text in UTF-16-LE."),
        (text(BARS).replace("BRK.B", "NESTLÉ").encode("latin-1"), "bars.csv: text in Windows-1252 (Latin-1)."),
        (
            text(wide_closes(BARS).rename_axis(index=None), index=True).encode(),
            "bars.csv: a wide table of closes, a column for each ticker; dates in a column without a name.",
        ),
        (text(pairs(BARS), index=True).encode(), "bars.csv: a column for each field and ticker."),
        (b"sep=;\n" + text(BARS, separator=";").encode(), "bars.csv: fields separated by ';'."),
        (text(BARS).encode(), None),
    ],
)
def test_what_is_recognised_is_said(tmp_path, content, says):
    found = source(write(tmp_path / "bars.csv", content))
    found.fetch((), None, None)
    assert found.notes == ((says,) if says else ())


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1.234,50", "987,25"], [1234.5, 987.25]),
        (["1\u202f234,50", "987,25"], [1234.5, 987.25]),
        (["1'234.50", "987.25"], [1234.5, 987.25]),
        (["1,234.50", "987.25"], [1234.5, 987.25]),
        (["1.234.567", "1,5"], [1234567.0, 1.5]),
        (["1,234,567", "12"], [1234567.0, 12.0]),
        (["0,125", "0,250"], [0.125, 0.25]),
        (["NA", "51,25"], [np.nan, 51.25]),
    ],
)
def test_marks_between_thousands_are_read_where_the_file_decides_what_they_are(tmp_path, cells, numbers):
    rows = "".join(f"2020-01-{day};AAA;{cell}\n" for day, cell in zip(("02", "03"), cells, strict=True))
    found = tidy(write(tmp_path / "bars.csv", f"date;ticker;close\n{rows}".encode()))
    np.testing.assert_array_equal(found["close"], numbers)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "date;ticker;close\n2020-01-02;AAA;1.234\n2020-01-03;AAA;1.235\n",
            "'1.234' can be read with a decimal mark or with one between thousands",
        ),
        ("date;ticker;close\n2020-01-02;AAA;1,234\n", "'1,234' can be read"),
        (
            "date;ticker;open;close\n2020-01-02;AAA;51.25;51,5\n",
            "decimal point ('51.25') and with a decimal comma ('51,5')",
        ),
        (
            "date,ticker,close\n02/01/2020,AAA,5\n03/01/2020,AAA,5\n",
            "column date: dates such as '02/01/2020' can be read day or month first",
        ),
        ("date,ticker,close\n2020-01-02,AAA,5.1\n2020-01-03,AAA,5.1,9\n", "line 3 has 4 fields, its header has 3"),
        ("date,ticker,close\n2020-01-02,AAA,5.1,9\n2020-01-03,AAA,5.1,9\n", "line 2 has 4 fields, its header has 3"),
        ("date,ticker,close\n2020-01-02,AAA,5.1\n2020-01-03,AA", "line 3 has 2 fields, its header has 3"),
        ("Date,Close,Close,Close\n2020-01-02,1.5,2.5,3.5\n", "repeats the column name Close (3 times)"),
        ("Date,Close,Close.1,Close.2\n2020-01-02,1.5,2.5,3.5\n", "repeats the column name Close (3 times)"),
        ("Date,AAA,BBB,AAA\n2020-01-02,1.5,2.5,3.5\n", "repeats the column name AAA (2 times)"),
        (
            "ticker,2020-01-02,2020-01-03,2020-01-06\nAAA,1.5,2.5,3.5\n",
            "has one column for each date, such as 2020-01-02",
        ),
        ("Date,Last,Settle\n2020-01-02,1.5,2.5\n", "no column close"),
        ("Date,Open,High,Low,Last\n2020-01-02,1.5,2.5,3.5,4.5\n", "no column close"),
    ],
)
def test_what_can_be_read_in_two_ways_or_in_none_is_refused_by_name(tmp_path, content, says):
    assert says in refusal(write(tmp_path / "bars.csv", content.encode()))


def test_a_convention_that_a_later_line_breaks_is_refused(tmp_path):
    rows = "".join(f"{day:%Y-%m-%d};AAA;51,25\n" for day in pd.bdate_range("2000-01-03", periods=4000))
    path = write(tmp_path / "bars.csv", f"date;ticker;close\n{rows}2020-01-02;AAA;51.25\n".encode())
    assert "'51.25' in column close is written with another decimal mark" in refusal(path)


def test_letters_that_are_not_western_are_not_guessed(tmp_path):
    path = write(tmp_path / "bars.csv", "date,ticker,close\n2020-01-02,Газпром,5.5\n".encode("cp1251"))
    assert "Save it as UTF-8" in refusal(path)


def test_a_wide_table_knows_tickers_that_are_called_like_columns(tmp_path):
    bars = market(("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "DAY", "LOW"), 30)
    same(
        tidy(write(tmp_path / "bars.csv", text(wide_closes(bars), index=True).encode())),
        bars[["date", "ticker", "close"]],
    )


def test_a_table_of_a_thousand_columns_makes_a_short_line(tmp_path):
    names = [f"{field}{number}" for number in range(700) for field in ("Close.", "x")]
    path = write(tmp_path / "bars.csv", f"Date,{','.join(names)}\n2020-01-02{',a' * 1400}\n".encode())
    refusal(path)
    repeated = ",".join(f"T{number},T{number}" for number in range(700))
    assert "and 695 more" in refusal(
        write(tmp_path / "b.csv", f"Date,{repeated}\n2020-01-02{',1.5' * 1400}\n".encode())
    )


# ---------------------------------------------------------------- files and folders
@pytest.mark.parametrize("name", ["bars.xlsx", "bars.json", "bars", "bars.csv.rar", "bars.feather"])
def test_a_name_that_is_not_read_is_told_what_is(tmp_path, name):
    write(tmp_path / name, b"anything")
    with pytest.raises(ConfigError, match=r"Foundry reads \.csv, \.txt and \.tsv"):
        source(tmp_path / name)


def test_a_zip_holds_one_file_beside_what_a_mac_adds(tmp_path):
    with zipfile.ZipFile(tmp_path / "bars.zip", "w") as archive:
        archive.writestr("prices/bars.csv", text(BARS))
        archive.writestr("__MACOSX/prices/._bars.csv", b"\0\5\x16\7")
    same(tidy(tmp_path / "bars.zip"), BARS)
    with zipfile.ZipFile(tmp_path / "bars.zip", "a") as archive:
        archive.writestr("more.csv", text(BARS))
    assert "holds 2 files (prices/bars.csv, more.csv)" in refusal(tmp_path / "bars.zip")


@pytest.mark.parametrize(
    "name", ["BRK.B.csv", "BRK.B.CSV", "BRK.B.csv.gz", "BRK.B.txt.xz", "BRK.B.parquet", "BRK.B.tsv.zip"]
)
def test_only_the_known_ending_is_no_part_of_a_ticker(tmp_path, name):
    bars = BARS[BARS["ticker"] == "BRK.B"].drop(columns="ticker")
    if name.endswith("parquet"):
        bars.to_parquet(tmp_path / name)
    else:
        separator = "\t" if ".tsv" in name else ","
        packing = "." + name.lower().split(".")[-1]
        content = text(bars, separator=separator).encode()
        write(tmp_path / name, packed(content, packing if packing in PACKINGS else "", name="x.csv"))
    assert set(tidy(tmp_path / name)["ticker"]) == {"BRK.B"}


def per_ticker(folder: Path, tickers=("AAA", "BRK.B", "LOW")) -> None:
    for ticker in tickers:
        write(folder / f"{ticker}.csv", text(BARS[BARS["ticker"] == ticker].drop(columns="ticker")).encode())


def test_hidden_and_empty_parts_of_a_folder_are_named_and_left_out(tmp_path):
    per_ticker(tmp_path)
    for name in ("._AAA.csv", ".DS_Store", "_SUCCESS", "__MACOSX/._AAA.csv", ".cache/x.csv", "README.md"):
        write(tmp_path / name, b"\0\5\x16\7")
    for name in ("E1.csv", "E2.csv.gz", "E3.parquet"):
        write(tmp_path / name, b"")
    write(tmp_path / "E4.csv", b"date,close\n")
    BARS.iloc[:0].to_parquet(tmp_path / "E5.parquet")
    found = source(tmp_path)
    same(found.fetch((), None, None), BARS)
    assert found.notes == (
        ".DS_Store, ._AAA.csv, .cache/ and 3 more: left out, for it is hidden or neither parquet nor csv by its name.",
        "E1.csv, E2.csv.gz, E3.parquet and 2 more: no rows, left out.",
    )


def test_a_folder_of_empty_parts_is_refused(tmp_path):
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, b"\n")
    assert "holds no rows" in refusal(tmp_path)


@pytest.mark.parametrize("by", [["ticker"], ["date"], ["year", "ticker"]])
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_partitioned_folder_is_read_with_what_its_folders_say(tmp_path, by, kind):
    bars = market(sessions=20).assign(year="2020")
    for keys, part in bars.groupby(by):
        folder = tmp_path.joinpath(*(f"{name}={str(key)[:10]}" for name, key in zip(by, keys, strict=True)))
        folder.mkdir(parents=True)
        rest = part.drop(columns=by)
        if kind == "parquet":
            rest.to_parquet(folder / "543cd7ccd4294ffebdee56ac6e9af36c-0.parquet")
        else:
            rest.to_csv(folder / "part-0.csv", index=False)
    same(tidy(tmp_path), bars.drop(columns="year"))


def test_a_part_alone_is_named_by_its_folder_and_never_after_itself(tmp_path):
    bars = BARS[BARS["ticker"] == "LOW"].drop(columns="ticker")
    part = write(tmp_path / "ticker=LOW" / "part-0.csv", text(bars).encode())
    assert set(tidy(part)["ticker"]) == {"LOW"}
    moved = write(tmp_path / "part-0.csv", part.read_bytes())
    assert "no column ticker" in refusal(moved)
    year = write(tmp_path / "2020.csv", part.read_bytes())
    assert "its name is the year of its dates" in refusal(year)


def test_a_folder_and_a_column_that_name_other_tickers_are_refused(tmp_path):
    write(tmp_path / "ticker=LOW" / "part-0.csv", text(BARS[BARS["ticker"] == "AAA"]).encode())
    assert "in a folder ticker=LOW and has a column ticker with other values" in refusal(tmp_path)


def test_files_in_folders_without_a_ticker_column_are_refused(tmp_path):
    per_ticker(tmp_path / "us")
    assert "no column ticker" in refusal(tmp_path)


def test_a_folder_that_is_renamed_has_another_fingerprint(tmp_path):
    write(tmp_path / "ticker=A" / "part-0.csv", b"date,close\n2020-01-02,5.5\n")
    before = source(tmp_path).fingerprint()
    (tmp_path / "ticker=A").rename(tmp_path / "ticker=B")
    assert source(tmp_path).fingerprint() != before


def test_members_sectors_and_series_are_opened_as_prices_are(tmp_path):
    members = "ticker;start_date;end_date\nAAA;02.01.2020;\nBRK.B;31.01.2020;\n"
    assert read_universe(write(tmp_path / "m.csv", members.encode("utf-16"))).tickers == ("AAA", "BRK.B")
    sectors = packed("ticker;sector\nAAA;Énergie\n".encode("latin-1"), ".zip", name="s.csv")
    said: list[str] = []
    found = read_sectors(write(tmp_path / "s.csv.zip", sectors), said.append)
    assert {ticker: span.sector for ticker, (span,) in found.items()} == {"AAA": "Énergie"}
    assert len(said) == 1
    assert said[0].startswith("s.csv.zip: ")
    series = "Price;Close\nTicker;SPY\nDate;\n2020-01-02;323,54\n2020-01-03;321,2\n"
    assert read_series(write(tmp_path / "b.csv", series.encode()), "benchmark").table["close"].tolist() == [
        323.54,
        321.2,
    ]


# ---------------------------------------------------------------- damage
def test_values_outside_of_what_a_footer_names_are_no_prices(tmp_path):
    """A zstd page has no checksum: one flipped byte changed 72 highs."""
    path = tmp_path / "bars.parquet"
    BARS.to_parquet(path, compression=None)
    content = path.read_bytes()
    high = BARS["high"].iloc[7].tobytes()
    assert content.count(high) == 1
    path.write_bytes(content.replace(high, np.float64(-4.4e74).tobytes()))
    assert "column high holds values outside the minimum and maximum of its footer" in refusal(path)


@pytest.mark.slow(40)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_gives_its_prices_or_one_line(tmp_path, kind):
    done = subprocess.run(
        [sys.executable, "-m", "tests.cases.damage", kind, "2000", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["times"] == 0, found["wrong"]
    assert found["grown_kib"] < 300 * 1024
