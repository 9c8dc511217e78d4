"""The worst cases of a price file: what was judged of a move, and the closes around it as a picture."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foundry_tasks.contract.documents.prices import LargeMove
from foundry_tasks.contract.ports import Finding
from foundry_tasks.data.panel import DateArray, FloatArray
from foundry_tasks.report import svg
from foundry_tasks.report.svg import WIDTH, Scale
from foundry_tasks.report.wording import UNDEFINED, signed_percent

CASES = 10
AROUND_SESSIONS = 30
"""Sessions before and after a move that its picture shows."""
_HEIGHT, _TOP, _BOTTOM = 190.0, 8.0, 20.0


@dataclass(frozen=True)
class Case:
    """A move with the prices around it. sessions: ISO dates; prices: as long, None where there is none.

    at: index of the move's bar. last: index of the last bar that it withholds or that is bad, before `at` where none is.
    """

    ticker: str
    date: str
    move: str
    ratio: str
    verdict: str
    overrule: str
    price_name: str
    sessions: tuple[str, ...]
    prices: tuple[float | None, ...]
    at: int
    last: int

    @property
    def caption(self) -> str:
        """One line: ticker, date, move, ratio, verdict, how to overrule."""
        ratio = f" ({self.ratio})" if self.ratio else ""
        overrule = f" To overrule: {self.overrule}." if self.overrule else ""
        return f"{self.ticker} {self.date}: {self.move}{ratio}, {self.verdict}.{overrule}"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a price file holds. first, last: ISO dates. columns: without date and ticker."""

    bars: int
    tickers: int
    first: str
    last: str
    columns: tuple[str, ...]


class Snapshot:
    """Bars as the source has them, from the Parquet file that the prices stage keeps."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def facts(self) -> FileFacts:
        """Bars, tickers, first and last date, and columns."""
        file = pq.ParquetFile(self._path)
        tickers = pc.count_distinct(file.read(["ticker"])["ticker"]).as_py()
        return FileFacts(
            bars=file.metadata.num_rows,
            tickers=tickers,
            first=str(self._days[0]),
            last=str(self._days[-1]),
            columns=tuple(name for name in file.schema_arrow.names if name not in {"date", "ticker"}),
        )

    @cached_property
    def _days(self) -> DateArray:
        """Every date on which any ticker has a bar, sorted."""
        days: DateArray = np.unique(_days_of(pq.read_table(self._path, columns=["date"])))
        return days

    @cached_property
    def price_name(self) -> str:
        """The column that returns are made of."""
        file = pq.ParquetFile(self._path)
        if "adj_close" not in file.schema_arrow.names:
            return "close"
        return "adj_close" if np.isfinite(_floats(file.read(["adj_close"])["adj_close"])).any() else "close"

    def around(self, ticker: str, day: str) -> tuple[DateArray, FloatArray, int]:
        """Dates beside `day`, the ticker's prices on them (NaN where it has none), and the index of `day`."""
        middle = int(np.searchsorted(self._days, np.datetime64(day)))
        first = max(middle - AROUND_SESSIONS, 0)
        days = self._days[first : middle + AROUND_SESSIONS + 1]
        table = pq.read_table(
            self._path,
            columns=["date", self.price_name],
            filters=[("ticker", "=", ticker), ("date", ">=", days[0].item())],
        )
        own, values = _days_of(table), _floats(table[self.price_name])
        wanted = own <= days[-1]
        prices = np.full(len(days), np.nan)
        prices[np.searchsorted(days, own[wanted])] = values[wanted]
        return days, prices, middle - first


def _days_of(table: pa.Table) -> DateArray:
    days: DateArray = table["date"].to_numpy().astype("datetime64[D]")
    return days


def _floats(column: pa.ChunkedArray) -> FloatArray:
    values: FloatArray = column.to_numpy().astype(np.float64)
    return values


# ------------------------------------------------------------------ which
def worst_cases(moves: Sequence[LargeMove], snapshot: Snapshot) -> tuple[Case, ...]:
    """The ten largest moves; those that are kept come after those that something was done about."""
    ranked = sorted(moves, key=lambda one: (not one.overrule, -abs(math.log1p(one.move))))
    return tuple(_judged(one, snapshot) for one in ranked[:CASES])


def rejected_cases(findings: Iterable[Finding], snapshot: Snapshot) -> tuple[Case, ...]:
    """Bars that expectations name, those that they refuse first, without repetition; ten at most."""
    bars: dict[tuple[str, str], str] = {}
    for finding in sorted(findings, key=lambda one: one.severity):  # critical, then warning
        for example in finding.examples:
            if {"ticker", "date"} <= example.keys():
                bars.setdefault((str(example["ticker"]), str(example["date"])), finding.note)
    return tuple(_case(ticker, day, note, snapshot) for (ticker, day), note in list(bars.items())[:CASES])


def _judged(move: LargeMove, snapshot: Snapshot) -> Case:
    case = _case(move.ticker, move.date.isoformat(), move.verdict, snapshot)
    last = bisect_right(case.sessions, move.until.isoformat()) - 1 if move.until and move.overrule else case.last
    return replace(case, move=signed_percent(move.move), ratio=move.ratio, overrule=move.overrule, last=last)


def _case(ticker: str, day: str, verdict: str, snapshot: Snapshot) -> Case:
    """A bar with the prices around it; its move is what they say, and nothing is shaded."""
    days, prices, at = snapshot.around(ticker, day)
    move = _move(prices, at)
    return Case(
        ticker=ticker,
        date=day,
        move=UNDEFINED if move is None else signed_percent(move),
        ratio="",
        verdict=verdict,
        overrule="",
        price_name={"adj_close": "adjusted close"}.get(snapshot.price_name, snapshot.price_name),
        sessions=tuple(map(str, days)),
        prices=tuple(float(price) if np.isfinite(price) and price > 0 else None for price in prices),
        at=at,
        last=-1,
    )


def _move(prices: FloatArray, at: int) -> float | None:
    """Return of the bar at `at` over the last price before it; None where there is none."""
    before = prices[:at][np.isfinite(prices[:at]) & (prices[:at] > 0)]
    return float(prices[at] / before[-1] - 1) if len(before) and np.isfinite(prices[at]) else None


# ------------------------------------------------------------------ how it looks
def drawn(case: Case) -> str:
    """Prices on a logarithmic scale, the move marked, and what is withheld or bad shaded. Empty without a price."""
    levels = [None if price is None else math.log10(price) for price in case.prices]
    known = [level for level in levels if level is not None]
    if not known:
        return ""
    height = _HEIGHT - _TOP - _BOTTOM
    scale = svg.scale_over(known, pad=0.08)
    up = Scale(scale.low, scale.high, _TOP + height, _TOP)
    inner = Scale(scale.low, scale.high, height, 0.0)
    last = max(len(levels) - 1, 1)
    across, stretched = Scale(0, last), Scale(0, last, 0.0, WIDTH)
    body = ""
    if case.last >= case.at:
        left, right = across(case.at - 0.5), across(case.last + 0.5)
        body += svg.rect(left, _TOP, right - left, height, "span")
    marks = [
        price for price in _price_ticks(10**scale.low, 10**scale.high) if up(math.log10(price)) < _TOP + height - 2
    ]
    body += "".join(svg.line(0, up(math.log10(price)), 100, up(math.log10(price)), "grid") for price in marks)
    body += svg.line(across(case.at), _TOP, across(case.at), _TOP + height, "jump")
    layer = svg.shape(svg.line_path(levels, stretched, inner), "line one")
    layer += svg.shape(svg.dots_path(levels, stretched, inner), "dots")
    body += svg.stretched(_TOP, height, layer)
    if (level := levels[case.at]) is not None:
        body += svg.dot(across(case.at), up(level), 4, "point jumped")
    for at, name in svg.date_ticks(case.sessions):
        if 3 < across(at) < 97:
            body += svg.text(across(at), _HEIGHT - 5, name, anchor="middle")
    body += "".join(svg.text(0, up(math.log10(price)) - 3, f"{price:g}", "tick halo") for price in marks)
    return svg.drawing(_HEIGHT, body, f"{case.price_name} of {case.ticker} around {case.date}: {case.move}")


def _price_ticks(low: float, high: float) -> list[float]:
    """Round prices between two: within a decade as on any scale, else 1, 2 and 5 times powers of ten, or these alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high]
        if len(found) <= 6:
            break
    return found if len(found) >= 3 else svg.ticks(low, high)
