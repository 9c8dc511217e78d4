"""Where prices come from: one protocol, one frame, a module a source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from foundry_tasks.contract.config import LIVE_SOURCES, PricesConfig

if TYPE_CHECKING:
    import pandas as pd

    from foundry_tasks.contract.stage_io import StageIO


@dataclass(frozen=True)
class Series:
    """A market-wide series, such as a benchmark. table: columns date, close. origin: where it is from, for a reader."""

    table: "pd.DataFrame"
    origin: str


class PriceSource(Protocol):
    """Daily prices from somewhere."""

    name: str
    """For a reader; holds no path, so that results do not depend on where a file lies."""
    identity: Mapping[str, str]
    """What makes it this source and no other: the key of its price head in the store."""

    silent: Mapping[str, str]
    """After `fetch`: ticker → why a live source gave no bars of it; empty for a static one."""

    @property
    def notes(self) -> tuple[str, ...]:
        """After `fetch`: what was recognised or bent in what was read, a sentence each."""

    def fingerprint(self) -> str | None:
        """sha256 over the content of a static source; None for a live one, whose answers change."""

    def last_date(self) -> date | None:
        """The last date that a static source holds; None for a live one."""

    def first_date(self, tickers: Sequence[str]) -> date | None:
        """The first date that a static source holds of `tickers` (empty: of all); None for a live one, or for nothing."""

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> "pd.DataFrame":
        """The tidy frame of `tickers` (empty: all it has) between two dates, both included; rows in any order.

        Raises ConfigError, DataRejectedError or TransientError.
        """

    def benchmark(self) -> Series | None:
        """The source's own benchmark, None where it has none."""


class OpenSource(Protocol):
    """What a module of `data.sources` holds as `open_source`."""

    def __call__(self, config: PricesConfig, named: str, io: "StageIO | None") -> PriceSource:
        """The source as `config` wants it; `named` and `io` as for `open_source` below.

        Raises ConfigError where it cannot be one.
        """


def open_source(config: PricesConfig, named: str = "", io: "StageIO | None" = None) -> PriceSource:
    """The source that `config` names. Raises ConfigError where it cannot be one. Imports nothing of the others.

    named: what the user calls the prices, where `config.prices` is but a copy of them. io: where a live source shows progress,
    keeps what arrived and finds its key.
    """
    folder = "sources.live" if config.source in LIVE_SOURCES else "sources"
    opened: OpenSource = import_module(f"foundry_tasks.data.{folder}.{config.source}").open_source
    return opened(config, named, io)
