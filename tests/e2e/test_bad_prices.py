"""All known faults of price files: one clear line and the right exit code, or a named warning."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foundry_tasks.contract.errors import FoundryError
from tests.market_bars import FIRST, LAST, TICKERS, sound_bars

pytestmark = pytest.mark.slow(16)

Break = Callable[[pd.DataFrame, Path], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """break_it: writes a faulty market and returns the config that reads it. says: parts of the error or of the warnings."""

    name: str
    exit_code: int
    says: tuple[str, ...]
    break_it: Break
    tickers: tuple[str, ...] = ()
    """Of which something remains."""


def parquet(bars: pd.DataFrame, folder: Path, **config: Any) -> dict[str, Any]:
    bars.to_parquet(folder / "bars.parquet")
    return {"source": "parquet", "prices": str(folder / "bars.parquet"), **config}


def csv(bars: pd.DataFrame, folder: Path, **config: Any) -> dict[str, Any]:
    bars.to_csv(folder / "bars.csv", index=False)
    return {"source": "parquet", "prices": str(folder / "bars.csv"), **config}


def raw(content: bytes, name: str) -> Break:
    def break_it(_: pd.DataFrame, folder: Path) -> dict[str, Any]:
        (folder / name).write_bytes(content)
        return {"source": "parquet", "prices": str(folder / name)}

    return break_it


def cell(column: str, value: Any, ticker: str = "BBB", rows: slice = slice(40, 41), write: Any = parquet) -> Break:
    """Put a value into some bars of one ticker."""

    def break_it(bars: pd.DataFrame, folder: Path) -> dict[str, Any]:
        at = bars.index[bars["ticker"] == ticker][rows]
        bars[column] = bars[column].astype(object if isinstance(value, str) else float)
        bars.loc[at, column] = value
        result: dict[str, Any] = write(bars, folder)
        return result

    return break_it


def changed(change: Callable[[pd.DataFrame], pd.DataFrame], write: Any = parquet) -> Break:
    def break_it(bars: pd.DataFrame, folder: Path) -> dict[str, Any]:
        result: dict[str, Any] = write(change(bars), folder)
        return result

    return break_it


def beside(name: str, content: str, key: str) -> Break:
    """Valid prices, and another file with a fault."""

    def break_it(bars: pd.DataFrame, folder: Path) -> dict[str, Any]:
        (folder / name).write_text(content)
        return parquet(bars, folder, **{key: str(folder / name)})

    return break_it


def scaled_before(bars: pd.DataFrame, ticker: str, row: int, factor: float) -> pd.DataFrame:
    """A ticker with an unadjusted split at its bar number `row`: earlier bars are scaled."""
    at = bars.index[bars["ticker"] == ticker][:row]
    bars.loc[at, ["open", "high", "low", "close"]] *= factor
    return bars


def flat(bars: pd.DataFrame, ticker: str) -> pd.DataFrame:
    bars.loc[bars["ticker"] == ticker, ["open", "high", "low", "close"]] = 20.0
    return bars


def moved(bars: pd.DataFrame, day: str, rows: slice) -> pd.DataFrame:
    at = bars.index[bars["ticker"] == "AAA"][rows]
    bars.loc[at, "date"] = pd.Timestamp(day)
    return bars


def mixed_dates(bars: pd.DataFrame) -> pd.DataFrame:
    written = bars["date"].dt.strftime("%Y-%m-%d")
    return bars.assign(date=written.where(np.arange(len(bars)) % 2 == 0, bars["date"].dt.strftime("%d/%m/%Y")))


def twice(bars: pd.DataFrame, factor: float) -> pd.DataFrame:
    again = bars.iloc[100:103].copy()
    again["close"] *= factor
    return pd.concat([bars, again])


def truncated(bars: pd.DataFrame, folder: Path) -> dict[str, Any]:
    config = parquet(bars, folder)
    path = Path(config["prices"])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return config


def benchmark(first: int, step: int) -> Break:
    """Valid prices, and a benchmark with only every step-th session from `first` on."""

    def break_it(bars: pd.DataFrame, folder: Path) -> dict[str, Any]:
        series = sound_bars(("SPY",)).iloc[first:]
        series = series[np.arange(len(series)) % step != step - 1] if step else series
        series.to_parquet(folder / "spy.parquet")
        return parquet(bars, folder, benchmark=str(folder / "spy.parquet"))

    return break_it


def alone(**config: Any) -> Break:
    """A config without any file."""
    return lambda *_: config


def asking(**config: Any) -> Break:
    """Valid prices with a wrong conf."""
    return lambda bars, folder: parquet(bars, folder, **config)


def closes(bars: pd.DataFrame, folder: Path) -> dict[str, Any]:
    return parquet(bars[["date", "ticker", "close"]], folder)


def without(column: str, row: int) -> Break:
    return changed(lambda bars: bars.assign(**{column: bars[column].where(bars.index != row)}))


def zoned(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(date=bars["date"].dt.tz_localize("America/New_York"))


def written_with_zone(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(date=bars["date"].dt.strftime("%Y-%m-%dT00:00:00-05:00"))


def impossible_date(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(date=bars["date"].astype(str).where(bars.index != 7, "2020-02-31"))


def with_gap(bars: pd.DataFrame) -> pd.DataFrame:
    return bars[(bars["ticker"] != "EEE") | ~bars["date"].between("2020-09-01", "2020-09-14")]


def refused(name: str, break_it: Break, *says: str) -> Case:
    return Case(name, 10, says, break_it)


def rejected(name: str, break_it: Break, *says: str) -> Case:
    return Case(name, 20, says, break_it)


def passes(name: str, break_it: Break, *says: str, tickers: tuple[str, ...] = TICKERS) -> Case:
    return Case(name, 0, says, break_it, tickers)


def split(factor: float) -> Break:
    return changed(lambda bars: scaled_before(bars, "CCC", 35, factor))


ACTION = "are taken for unadjusted actions"
MEMBERS = "ticker,start_date,end_date\n"
SECTORS = "ticker,sector\n"
DATED = "ticker,sector,start_date,end_date\n"

# fmt: off
CASES = (
    refused("no such path", alone(source="parquet", prices="/no/such.csv"), "cannot be read: no such file", "Give the path"),
    refused("a path below a file", alone(source="parquet", prices=f"{__file__}/bars.csv"), "cannot be read: not a directory"),
    refused("an empty folder", lambda _, folder: {"source": "parquet", "prices": str(folder)}, "without parquet or csv files"),
    refused("a file that is no table", raw(b"1", "bars.xlsx"), "neither parquet nor csv"),
    refused("a source without a path", alone(source="parquet"), "needs prices"),
    refused("an unknown calendar", asking(calendar="NYSE2"), "calendar='NYSE2' is no exchange"),
    refused("no such benchmark", asking(benchmark="/no/spy.csv"), "benchmark='/no/spy.csv' cannot be read"),
    rejected("an empty file", raw(b"", "bars.csv"), "bars.csv is empty", "Give daily prices"),
    rejected("a csv with a header alone", raw(b"date,ticker,close\n", "bars.csv"), "holds no rows"),
    rejected("wrong columns", raw(b"a,b\n1,2\n", "bars.csv"), "no column date, close", "it has a, b"),
    rejected("binary rubbish as csv", raw(b"\xff\xfe\x00\x80" * 50, "bars.csv"), "holds no rows"),
    rejected("other rubbish as csv", raw(bytes(range(256)) * 9, "bars.csv"), "bars.csv"),
    rejected("text as parquet", raw(b"date,close\n", "bars.parquet"), "cannot be read as parquet", "again"),
    rejected("a truncated parquet file", truncated, "cannot be read as parquet", "cut off"),
    rejected("text among prices", cell("close", "n.a.y.", write=csv), "close holds text in 1 row(s)", "'n.a.y.'",
             "BBB 2020-03-02"),
    rejected("rows without a date", without("date", 5), "1 row(s) without a date"),
    rejected("rows without a ticker", without("ticker", 5), "1 row(s) without a ticker", "row 6"),
    rejected("mixed date formats", changed(mixed_dates, csv), "more than one format", "YYYY-MM-DD"),
    rejected("a date that does not exist", changed(impossible_date, csv), "'2020-02-31' is no date"),
    rejected("a negative price", cell("close", -3.0), "closes that are not a positive, finite price", "1 of", "BBB 2020-03-02"),
    rejected("a price of zero", cell("open", 0.0), "opens that are not a positive, finite price", "BBB 2020-03-02"),
    rejected("an infinite price", cell("high", np.inf), "highs that are not a positive, finite price"),
    rejected("an infinite volume", cell("volume", np.inf), "volumes that are negative or infinite", "BBB 2020-03-02"),
    rejected("conflicting duplicates", changed(lambda bars: twice(bars, 1.1)), "several different bars", "AAA 2020-05-27"),
    rejected("a date in the future", changed(lambda bars: moved(bars, "2031-01-02", slice(-1, None))),
             "dates after the last completed session", "AAA 2031-01-02"),
    rejected("many weekend rows", changed(lambda bars: bars.assign(date=bars["date"] + pd.Timedelta(days=1))),
             "off the sessions of XNYS", "time zone"),
    rejected("thirty sessions only", changed(lambda bars: bars[bars["date"] < "2020-02-14"]), "fewer than 126 sessions"),
    rejected("a universe that the file lacks", beside("m.csv", MEMBERS + "ZZZ,2000-01-01,\n", "universe"),
             "no ticker of the universe m.csv"),
    rejected("a universe of other columns", beside("m.csv", "who,weight\nAAA,1\n", "universe"), "no column ticker"),
    rejected("a universe without last dates", beside("m.csv", "ticker,start_date\nAAA,2000-01-01\n", "universe"),
             "no column end_date"),
    rejected("a universe with dates of an unknown name", beside("m.csv", "ticker,since\nAAA,2000-01-01\n", "universe"),
             "no column start_date; since holds dates"),
    rejected("a member that leaves before it joins", beside("m.csv", MEMBERS + "AAA,2020-01-01,2019-01-01\n", "universe"),
             "AAA leaves before it joins"),
    rejected("sectors of other columns", beside("s.csv", "ticker,industry\nAAA,x\n", "sectors"), "no column sector"),
    rejected("a ticker in two sectors", beside("s.csv", SECTORS + "AAA,x\nAAA,y\n", "sectors"), "AAA has several sectors"),
    rejected("a ticker in two sectors on one date", beside("s.csv", DATED + "AAA,x,,2020-06-30\nAAA,y,2020-06-30,\n", "sectors"),
             "rows 1 and 2: AAA has several sectors on 2020-06-30, x and y"),
    rejected("a sector that ends before it starts", beside("s.csv", DATED + "AAA,x,2020-06-30,2020-01-02\n", "sectors"),
             "the sector of AAA ends before it starts"),
    rejected("tickers that nobody sells", asking(tickers=("XXX",)), "holds no prices of XXX"),
    rejected("an end before the beginning", asking(end=date(2015, 1, 2)), "holds no prices"),
    rejected("constant series everywhere", changed(lambda bars: bars.assign(open=20.0, high=20.0, low=20.0, close=20.0)),
             "only 0.0% of the universe's ticker-sessions remain", "min_coverage"),
    rejected("long runs without a close", cell("close", np.nan, rows=slice(10, 355)), "ticker-sessions remain", "BBB 8%"),
    rejected("a benchmark that covers half", benchmark(200, 0), "benchmark (file spy.parquet) has a value on only"),
    rejected("a benchmark of several tickers", beside("spy.csv", "date,ticker,close\n2020-01-02,A,1\n2020-01-02,B,1\n",
             "benchmark"),
             "holds 2 tickers; benchmark is one series"),
    rejected("a benchmark on two scales", beside("spy.csv", "date,close\n2020-01-02,300\n2020-01-03,30.2\n", "benchmark"),
             "spy.csv: benchmark is 0.101 times the value before on 2020-01-03", "adjusted series"),
    rejected("a benchmark at zero", beside("spy.csv", "date,close\n2020-01-02,0\n", "benchmark"), "not above zero"),
    passes("sound prices", parquet),
    passes("unsorted dates", changed(lambda bars: bars.sample(frac=1, random_state=1))),
    passes("time-zoned dates", changed(zoned)),
    passes("time-zoned dates as text", changed(written_with_zone, csv)),
    passes("identical duplicates", changed(lambda bars: twice(bars, 1.0)), "3 rows that repeat another one are dropped"),
    passes("a weekend row", changed(lambda bars: moved(bars, "2020-07-18", slice(137, 138))), "no session of XNYS",
           "AAA 2020-07-18"),
    passes("a missing close", cell("close", np.nan), "without a close are excluded", "1 of", "BBB 2020-03-02"),
    passes("a short run without closes", cell("close", np.nan, rows=slice(40, 49)), "gap of more than 5 sessions", "BBB"),
    passes("a bar outside its own range", cell("high", 1.0), "outside [low, high] are excluded", "BBB 2020-03-02"),
    passes("an untraded bar", cell("volume", 0.0), "a volume of zero, are excluded", "BBB 2020-03-02"),
    passes("a volume of zero throughout", changed(lambda bars: bars.assign(volume=0.0)), "has no volume"),
    passes("closes alone", closes, "has no open, high, low, volume"),
    passes("a bad tick", cell("close", 900.0, write=closes), "between a jump and the return of the old level", "BBB 2020-03-02"),
    passes("an unadjusted split", split(2.0), ACTION, "CCC 2020-02-24"),
    passes("an unadjusted reverse split", split(0.1), ACTION, "CCC 2020-02-24"),
    passes("a lasting move that nothing confirms", split(0.57), ACTION, "CCC 2020-02-24"),
    passes("a constant series", lambda bars, folder: parquet(flat(bars, "DDD"), folder, min_coverage=0.8),
           "single price throughout", "no bars remain of DDD", tickers=tuple(set(TICKERS) - {"DDD"})),
    passes("a stale price", cell("close", 55.0, rows=slice(40, 54), write=closes), "stale bars", "BBB"),
    passes("a ticker with a gap", changed(with_gap), "gap of more than 5 sessions", "EEE 2020-09-15"),
    passes("a ticker that ends", changed(lambda bars: bars[(bars["ticker"] != "EEE") | (bars["date"] < "2021-05-01")]),
           "no bar in the last 3 sessions for EEE"),
    passes("a single ticker", changed(lambda bars: bars[bars["ticker"] == "AAA"]), tickers=("AAA",)),
    passes("sectors of unknown tickers", beside("s.csv", SECTORS + "AAA,Energy\nZZZ,Energy\n", "sectors"),
           "no prices for ZZZ", "none for BBB", "which is hindsight; the columns start_date and end_date avoid that"),
    passes("sectors of which some have no start", beside("s.csv", DATED + "AAA,x,,\nBBB,x,2000-01-03,\n", "sectors"),
           "sectors: not fully point in time: 1 of 2 sectors in s.csv have no start date"),
    passes("missing benchmark dates", benchmark(0, 60), "benchmark: file spy.parquet lacks 6 of 377 sessions"),
    passes("a plain list of members", beside("m.csv", "ticker\nAAA\nBBB\n", "universe"), "not point in time",
           "m.csv gives no start dates", "CCC, DDD, EEE, FFF, GGG and 1 more never belonged", tickers=("AAA", "BBB")),
    passes("members without a start", beside("m.csv", MEMBERS + "AAA,,\nBBB,2000-01-01,\n", "universe"),
           "not fully point in time: 1 of 2 memberships", tickers=("AAA", "BBB")),
    passes("classes of shares written otherwise",
           lambda bars, folder: beside("s.csv", SECTORS + "AA/A,x\n", "sectors")(
               bars.replace({"ticker": {"AAA": "AA-A"}}), folder) | {"tickers": ("AA.A", "BBB")},
           "tickers: AA.A is AA-A in the prices", "sectors: AA/A is AA-A in the prices", "sectors: none for BBB",
           tickers=("AA-A", "BBB")),
    passes("adjusted closes by another name", changed(lambda bars: bars.assign(closeadj=bars["close"])),
           "column closeadj is used as adj_close"),
    passes("one ticker that nobody sells", asking(tickers=("AAA", "XXX")), "has no prices of XXX", tickers=("AAA",)),
)
# fmt: on


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_prices_give_one_clear_line_and_the_right_exit_code(case, tmp_path, make_io, run_prices):
    given = tmp_path / "given"
    given.mkdir()
    config = case.break_it(sound_bars(), given)
    io = make_io()
    code, told = 0, ""
    try:
        run_prices(io, **config)
    except FoundryError as error:
        code, told = error.exit_code, str(error)
    assert code == case.exit_code, told or io.outputs.warnings
    assert "\n" not in told
    for part in case.says:
        assert part in (told or " | ".join(io.outputs.warnings))
    if code == 20:
        assert list(io.store.keys("quarantine/foundry_train/")), "what was rejected lies in quarantine"
    if code:
        assert not io.outputs.artifacts, "nothing is published"
    else:
        about = json.loads(io.store.object_path(io.outputs.artifacts["prices.json"].sha256).read_bytes())
        assert about["tickers"] == len(case.tickers)
        assert (about["first_session"], about["last_session"]) == (str(FIRST), str(LAST))
