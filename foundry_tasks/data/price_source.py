"""The protocol of price sources. Every source returns the tidy frame; each has its own module in `sources`."""

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
    """A market-wide series, such as a benchmark. table: columns date, close. origin: its source, as reports name it."""

    table: "pd.DataFrame"
    origin: str


class PriceSource(Protocol):
    """A source of daily prices."""

    name: str
    """Name in reports. Holds no path, so that results do not depend on a file's location."""
    identity: Mapping[str, str]
    """Fields that identify the source; their digest is part of the key of its price head in the store."""

    silent: Mapping[str, str]
    """After `fetch`: ticker → reason why a live source has no bars of it; empty for a static source."""

    @property
    def notes(self) -> tuple[str, ...]:
        """After `fetch`: one sentence for each recognised format, left-out file or other adjustment."""

    def fingerprint(self) -> str | None:
        """sha256 of a static source's content; None for a live source, whose answers change."""

    def last_date(self) -> date | None:
        """The last date of a static source; None for a live one."""

    def first_date(self, tickers: Sequence[str]) -> date | None:
        """The first date of `tickers` (empty: all) in a static source; None for a live source or if it has no rows."""

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> "pd.DataFrame":
        """The tidy frame of `tickers` (empty: all) from `start` to `end`, both included; rows in any order.

        Raises ConfigError, DataRejectedError or TransientError.
        """

    def benchmark(self) -> Series | None:
        """The source's own benchmark; None if it has none."""


class OpenSource(Protocol):
    """The function `open_source` of each module in `data.sources`."""

    def __call__(self, config: PricesConfig, named: str, io: "StageIO | None") -> PriceSource:
        """The source for `config`. named, io: as in `open_source` below. Raises ConfigError for an invalid configuration."""


def open_source(config: PricesConfig, named: str = "", io: "StageIO | None" = None) -> PriceSource:
    """The source that `config` names; only its module is imported. Raises ConfigError for an invalid configuration.

    named: the user's path or URI of the prices, if `config.prices` is a local copy; "": `config.prices`. io: a live source
    uses its progress display, its store and its secrets.
    """
    folder = "sources.live" if config.source in LIVE_SOURCES else "sources"
    opened: OpenSource = import_module(f"foundry_tasks.data.{folder}.{config.source}").open_source
    return opened(config, named, io)
