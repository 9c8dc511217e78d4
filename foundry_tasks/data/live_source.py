"""Fetch prices from a live source, one request per ticker: in parallel, with retries, within a time limit.

Received bars are saved in the store.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date

import pandas as pd

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.errors import ConfigError, TransientError
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.bar_files import read_bars, write_bars

_FIRST_DATE = date(1990, 1, 1)
WORKERS = 4
WAITS_S = (0, 5, 20, 60)
"""Seconds before each round. A round requests the tickers that failed in the round before."""
FAILURES_IN_A_ROW = 10
"""Consecutive failures that end a round: the source refuses all requests, or the connection is lost."""
BUDGET_S = 900
"""Time limit in seconds; no request starts after it."""
BATCH = 50
"""Tickers that are saved as one object."""
NOT_ASKED = "not requested within the time limit"
SILENT_SHARE = 0.05
"""Largest accepted share of tickers without bars."""

Ask = Callable[[str], pd.DataFrame]
"""Fetches the tidy frame of one ticker. Raises NoBarsError or BusyError; any other error ends the whole fetch."""
Answer = pd.DataFrame | Exception


class NoBarsError(Exception):
    """The source answered that it has no bars of this ticker. Text: the reason it gave."""


class BusyError(Exception):
    """The source did not answer: rate limit, time-out, broken connection. Text: the reason. A retry may succeed."""


class LiveSource:
    """A price source with one request per ticker, whose answers may change between requests.

    tickers: of the configuration. io: progress, store and secrets; None: without them. Raises ConfigError without tickers.
    """

    name: str

    def __init__(self, tickers: Sequence[str], io: StageIO | None = None) -> None:
        if not tickers:
            raise ConfigError(f"source={self.name!r} needs tickers: name those of your universe, such as AAPL,MSFT.")
        self.identity: Mapping[str, str] = {"source": self.name, "tickers": ",".join(sorted(tickers))}
        self.silent: Mapping[str, str] = {}
        self.notes: tuple[str, ...] = ()
        self._io = io

    def fingerprint(self) -> None:
        """None: the answers change."""

    def last_date(self) -> None:
        """None: unknown before a request."""

    def first_date(self, tickers: Sequence[str]) -> None:
        """None: unknown before a request."""

    def benchmark(self) -> None:
        """None: a live source has no benchmark of its own."""

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> pd.DataFrame:
        """The tidy frame of `tickers` from `start` (None: 1990) to `end`. Sets `silent`: ticker without bars → reason.

        Raises ConfigError for a missing or refused key, TransientError if too many tickers got no answer.
        """
        start = start or _FIRST_DATE
        ask = self.question(start, end)
        named = {**self.identity, "start": start.isoformat(), "end": str(end)}
        table, self.silent = gather(self.name, ask, tickers, named, self._io)
        return table

    def question(self, start: date, end: date | None) -> Ask:
        """The function that requests one ticker's bars from `start` to `end`. Raises ConfigError without a required key."""
        raise NotImplementedError


class Arrivals:
    """Bars received by this run, saved in the store, so that a retry of the stage does not request them again.

    Other runs do not read them, since a live source may give other answers later. question: fields of the request; with the
    run's identity they give the key.
    """

    def __init__(self, io: StageIO, question: Mapping[str, str]) -> None:
        run = {"dag": io.identity.dag, "run": io.identity.run_id}
        self._prefix = artifacts.checkpoint_prefix("prices", artifacts.digest_of({**run, **question}))
        self._store, self._workspace = io.store, io.outputs.workspace

    def read(self) -> Iterator[pd.DataFrame]:
        """The tidy frame of each saved batch."""
        for key in self._store.keys(f"{self._prefix}/"):
            sha256 = key.rpartition("/")[2].removesuffix(".json")
            if self._store.has_object(sha256):
                yield read_bars(self._store.object_path(sha256))

    def keep(self, bars: Sequence[pd.DataFrame]) -> None:
        """Save the tidy frames of several tickers as one batch."""
        table = pd.concat(bars, ignore_index=True)
        sha256 = self._store.put_object(write_bars(table, self._workspace / "arrived.parquet"))
        self._store.write(f"{self._prefix}/{sha256}.json", artifacts.canonical_json({"snapshot": sha256}))


def gather(
    name: str, ask: Ask, tickers: Sequence[str], question: Mapping[str, str], io: StageIO | None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The tidy frame of all `tickers` with bars, sorted by ticker and date; and ticker without bars → reason.

    name: of the source. ask: requests one ticker. question: fields of the request other than the tickers; they give the key
    of the saved bars. io: progress and store; None: neither. Raises TransientError if more than `allowed` tickers got no
    answer, after saving the received bars; any other error of `ask` but NoBarsError and BusyError passes through.
    """
    arrivals = None if io is None else Arrivals(io, question)
    advance = (lambda _: None) if io is None else io.steps.progress.advance
    arrived = list(arrivals.read()) if arrivals else []
    there = {ticker for table in arrived for ticker in table["ticker"].unique()}
    pending = [ticker for ticker in dict.fromkeys(tickers) if ticker not in there]
    fresh: list[pd.DataFrame] = []
    silent: dict[str, str] = {}
    busy: dict[str, str] = {}
    if io is not None and pending:
        io.steps.progress.start(name, len(pending))
    try:
        for ticker, answer in _answers(ask, pending):
            busy.pop(ticker, None)
            if isinstance(answer, BusyError):
                busy[ticker] = str(answer) or NOT_ASKED
                continue
            if isinstance(answer, NoBarsError):
                silent[ticker] = str(answer)
            elif isinstance(answer, Exception):
                raise answer
            else:
                fresh.append(answer)
            advance(ticker)
            if arrivals and len(fresh) == BATCH:
                arrivals.keep(fresh)
                arrived, fresh = [*arrived, *fresh], []
    finally:
        if arrivals and fresh:
            arrivals.keep(fresh)
    for ticker in busy:
        advance(f"{ticker}: no answer")
    if len(busy) > allowed(len(tickers)):
        raise TransientError(
            f"{name} did not answer for {len(busy)} of {len(tickers)} tickers, {_names(sorted(busy), 5)}: {_main(busy)}. "
            f"{'What arrived is kept for this run. ' if arrivals else ''}Try again later."
        )
    return _table([*arrived, *fresh], tickers), silent | busy


def allowed(asked: int) -> float:
    """Largest accepted number of tickers without bars, of `asked` requested ones."""
    return max(1, SILENT_SHARE * asked)


def by_reason(reasons: Mapping[str, str]) -> str:
    """Tickers grouped by reason, such as `AAA, BBB (may be delisted); CCC (time-out)`. reasons: ticker → reason."""
    tickers: dict[str, list[str]] = {}
    for ticker in sorted(reasons):
        tickers.setdefault(reasons[ticker], []).append(ticker)
    return "; ".join(f"{_names(those, 30)} ({reason})" for reason, those in tickers.items())


def one_line(error: BaseException) -> str:
    """The text of an error as one line of at most 120 characters."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= 120 else f"{text[:120]}…"


def _answers(ask: Ask, tickers: Sequence[str]) -> Iterator[tuple[str, Answer]]:
    """Ticker and answer, in order of arrival. A failed ticker is requested, and yielded, again in each further round."""
    pending, until = list(tickers), time.monotonic() + BUDGET_S
    for wait in WAITS_S:
        if not pending or time.monotonic() + wait >= until:
            return
        time.sleep(wait)
        failed = []
        for ticker, answer in _round(ask, pending, until):
            if isinstance(answer, BusyError):
                failed.append(ticker)
            yield ticker, answer
        pending = failed


def _round(ask: Ask, tickers: Sequence[str], until: float) -> Iterator[tuple[str, Answer]]:
    """Request each ticker once. Tickers that the round does not reach yield a BusyError without a reason."""
    in_a_row = 0

    def answer(ticker: str) -> Answer:
        nonlocal in_a_row
        if in_a_row >= FAILURES_IN_A_ROW or time.monotonic() >= until:
            return BusyError("")
        try:
            found: Answer = ask(ticker)
        except Exception as error:
            found = error
        in_a_row = in_a_row + 1 if isinstance(found, BusyError) else 0
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        running = {pool.submit(answer, ticker): ticker for ticker in tickers}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _names(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _main(reasons: Mapping[str, str]) -> str:
    """The most frequent reason given by the source; NOT_ASKED if there is none."""
    frequent = Counter(reason for reason in reasons.values() if reason != NOT_ASKED).most_common(1)
    return frequent[0][0] if frequent else NOT_ASKED


def _table(bars: Sequence[pd.DataFrame], tickers: Sequence[str]) -> pd.DataFrame:
    """One frame of `tickers`, sorted by ticker and date."""
    found = pd.concat(bars, ignore_index=True) if bars else _no_bars()
    wanted = found[found["ticker"].isin(list(tickers))]
    return wanted.sort_values(["ticker", "date"], kind="stable", ignore_index=True)


def _no_bars() -> pd.DataFrame:
    table = {
        "date": pd.Series(dtype="datetime64[s]"),
        "ticker": pd.Series(dtype="str"),
        "close": pd.Series(dtype=float),
    }
    return pd.DataFrame(table)
