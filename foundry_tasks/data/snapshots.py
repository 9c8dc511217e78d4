"""Immutable snapshots of a source's prices, and a head per market and source that is moved by compare-and-swap."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.documents.prices import PriceHead
from foundry_tasks.contract.errors import DataRejectedError, TransientError
from foundry_tasks.contract.ports import Store
from foundry_tasks.data.bar_files import read_bars, write_bars
from foundry_tasks.data.live_source import allowed, by_reason
from foundry_tasks.data.price_source import PriceSource
from foundry_tasks.data.restatement import restated_tickers, spliced
from foundry_tasks.data.sessions import session_before

_ATTEMPTS = 5


@dataclass(frozen=True)
class Snapshot:
    """table: tidy frame of the run. sha256: of the stored snapshot. restated: tickers that were fetched again in full."""

    table: pd.DataFrame
    sha256: str
    restated: tuple[str, ...] = ()


def refreshed(
    config: PricesConfig,
    store: Store,
    source: PriceSource,
    as_of: date,
    workspace: Path,
    since: Callable[[date], date] | None = None,
) -> Snapshot:
    """Bring the market's snapshot of `source` up to `as_of` and move its head.

    A static source is read in full, so that the result depends on its content alone. From a live source, the sessions after
    the head and `overlap_sessions` before them are fetched; tickers that the overlap restates are fetched again in full. If
    another run moves the head in between, the refresh starts again from the new head.

    workspace: folder for the file to upload. since: maps the first available date to the first date that the run reads; None:
    the run reads all dates. Raises TransientError after `_ATTEMPTS` lost races, DataRejectedError if a live source lacks too
    many tickers, and the errors of `PriceSource.fetch`.
    """
    key = artifacts.head_key(config.market, artifacts.digest_of({**source.identity, "start": str(config.start)}))
    static = source.last_date() is not None
    for _ in range(_ATTEMPTS):
        head = store.read(key)
        table, restated = (
            (source.fetch(config.tickers, _start(config, source, since), None), ())
            if static
            else _extended(config, store, source, as_of, head)
        )
        sha256 = store.put_object(write_bars(table, workspace / "snapshot.parquet"))
        last = None if table.empty else table["date"].max().date()
        moved = PriceHead(snapshot=sha256, source=source.name, last=last)
        document = artifacts.canonical_json(moved.model_dump(mode="json"))
        if document == head or store.swap(key, head, document):
            return Snapshot(table if static or since is None else _from(table, since), sha256, restated)
    raise TransientError(f"the head of market {config.market!r} ({store.locate(key)}) keeps moving. Try again later.")


def _start(config: PricesConfig, source: PriceSource, since: Callable[[date], date] | None) -> date | None:
    """The first date to fetch from a static source; None: all."""
    first = None if since is None else source.first_date(config.tickers)
    return config.start if since is None or first is None else since(max(first, config.start or first))


def _from(table: pd.DataFrame, since: Callable[[date], date]) -> pd.DataFrame:
    return table[table["date"] >= pd.Timestamp(since(table["date"].min().date()))]


def _extended(
    config: PricesConfig, store: Store, source: PriceSource, as_of: date, head: bytes | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A live source's snapshot extended to `as_of`, and the tickers that were restated."""
    known = None if head is None else PriceHead.model_validate_json(head)
    if known is None or known.last is None:
        return _complete(config, source, source.fetch(config.tickers, config.start, as_of)), ()
    kept = read_bars(store.object_path(known.snapshot))
    if known.last >= as_of:
        return kept, ()
    since = session_before(config.calendar, known.last, config.overlap_sessions - 1)
    fetched = source.fetch(config.tickers, since, as_of)
    silent = source.silent
    restated = restated_tickers(kept, fetched)
    anew = source.fetch(restated, config.start, as_of) if restated else None
    source.silent = {**silent, **source.silent}
    return _complete(config, source, spliced(kept, fetched, anew, restated)), restated


def _complete(config: PricesConfig, source: PriceSource, table: pd.DataFrame) -> pd.DataFrame:
    """`table`. Raises DataRejectedError if more than `allowed` of the configured tickers are missing."""
    missing = sorted(set(config.tickers) - set(table["ticker"].unique()))
    if table.empty or len(missing) > allowed(len(config.tickers)):
        reasons = {ticker: source.silent.get(ticker, "no reason given") for ticker in missing}
        raise DataRejectedError(
            f"{source.name} has no bars of {len(missing)} of {len(config.tickers)} tickers: {by_reason(reasons)}. Correct "
            "those names in tickers, or leave them out."
        )
    return table
