"""Asks a live source ticker by ticker: side by side, again where that may help, within limits. What arrived is kept."""

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
"""Seconds before each round. A round asks for the tickers that failed in the round before."""
FAILURES_IN_A_ROW = 10
"""Ends a round: the source refuses everybody, or the connection is gone."""
BUDGET_S = 900
"""No ticker is asked for after this time."""
BATCH = 50
"""Tickers that are kept together."""
NOT_ASKED = "not asked in the time that there is"
SILENT_SHARE = 0.05
"""A larger share of tickers without bars is refused."""

Ask = Callable[[str], pd.DataFrame]
"""The tidy frame of one ticker. Raises NoBarsError or BusyError; any other error ends the fetch."""
Answer = pd.DataFrame | Exception


class NoBarsError(Exception):
    """The source answered and has no bars of this ticker. Text: the reason that it gave."""


class BusyError(Exception):
    """The source did not answer: rate limit, time-out, broken connection. Text: the reason. A later try may help."""


class LiveSource:
    """A price source that is asked for each ticker by itself. Live: the same question may be answered anew.

    io: where it shows progress, keeps what arrived and finds its key; None: nowhere.
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
        """None: answers change."""

    def last_date(self) -> None:
        """None: known only once it is asked."""

    def first_date(self, tickers: Sequence[str]) -> None:
        """None, as for `last_date`."""

    def benchmark(self) -> None:
        """None: a live source brings no benchmark of its own."""

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> pd.DataFrame:
        """Ask for each ticker by itself, from 1990 where `start` is None; afterwards `silent` says who has no bars, and why.

        Raises ConfigError where nobody may ask, TransientError where too many tickers got no answer.
        """
        start = start or _FIRST_DATE
        ask = self.question(start, end)
        named = {**self.identity, "start": start.isoformat(), "end": str(end)}
        table, self.silent = gather(self.name, ask, tickers, named, self._io)
        return table

    def question(self, start: date, end: date | None) -> Ask:
        """How to ask for the bars of one ticker from `start` to `end`. Raises ConfigError where nobody may ask."""
        raise NotImplementedError


class Arrivals:
    """Bars that a live source has sent to this run, in the store, so that a retry of the stage does not ask for them again.

    No other run reads them: a live source may answer otherwise later.
    """

    def __init__(self, io: StageIO, question: Mapping[str, str]) -> None:
        run = {"dag": io.identity.dag, "run": io.identity.run_id}
        self._prefix = artifacts.checkpoint_prefix("prices", artifacts.digest_of({**run, **question}))
        self._store, self._workspace = io.store, io.outputs.workspace

    def read(self) -> Iterator[pd.DataFrame]:
        """The frame of each batch."""
        for key in self._store.keys(f"{self._prefix}/"):
            sha256 = key.rpartition("/")[2].removesuffix(".json")
            if self._store.has_object(sha256):
                yield read_bars(self._store.object_path(sha256))

    def keep(self, bars: Sequence[pd.DataFrame]) -> None:
        """Keep the frames of some tickers as one batch."""
        table = pd.concat(bars, ignore_index=True)
        sha256 = self._store.put_object(write_bars(table, self._workspace / "arrived.parquet"))
        self._store.write(f"{self._prefix}/{sha256}.json", artifacts.canonical_json({"snapshot": sha256}))


def gather(
    name: str, ask: Ask, tickers: Sequence[str], question: Mapping[str, str], io: StageIO | None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The tidy frame, by ticker and date, of all `tickers` that have bars, and for each other ticker the reason why it has none.

    question: what is asked besides the tickers; names the kept bars. io: progress and store; None: neither. Raises
    TransientError if more than `allowed` tickers got no answer; what arrived until then is kept.
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
    """How many of `asked` tickers may have no bars."""
    return max(1, SILENT_SHARE * asked)


def by_reason(reasons: Mapping[str, str]) -> str:
    """`AAA, BBB (may be delisted); CCC (time-out)`."""
    tickers: dict[str, list[str]] = {}
    for ticker in sorted(reasons):
        tickers.setdefault(reasons[ticker], []).append(ticker)
    return "; ".join(f"{_names(those, 30)} ({reason})" for reason, those in tickers.items())


def one_line(error: BaseException) -> str:
    """A network client's error, cut to a line."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= 120 else f"{text[:120]}…"


def _answers(ask: Ask, tickers: Sequence[str]) -> Iterator[tuple[str, Answer]]:
    """Each ticker's answer as it comes; one that failed comes again with each further round."""
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
    """Ask for each ticker once. Those that the round did not reach fail without a reason."""
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
    """The most frequent reason that came from outside."""
    frequent = Counter(reason for reason in reasons.values() if reason != NOT_ASKED).most_common(1)
    return frequent[0][0] if frequent else NOT_ASKED


def _table(bars: Sequence[pd.DataFrame], tickers: Sequence[str]) -> pd.DataFrame:
    """One frame by ticker and date, whatever order the answers came in."""
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
