"""prices.json: data that the prices stage read, excluded and published; and the head of a market's price snapshots."""

import datetime as dt
from typing import Annotated, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field

from foundry_tasks.contract.documents.base import Document, Part


class Columns(Part):
    """Which columns the prices have."""

    present: tuple[str, ...]
    absent: tuple[str, ...]
    """Columns that a source may have and this one lacks."""


class ExcludedBars(Part):
    """Bars of one ticker that were excluded for one reason."""

    reason: str
    ticker: str
    bars: int
    first: dt.date
    """Date of the first of these bars."""
    last: dt.date


class LargeMove(Part):
    """A large move of a close, the verdict on it, and the rule that gave the verdict."""

    ticker: str
    date: dt.date
    """The bar that moved. Of several bad bars in a row, the first."""
    until: dt.date | None = None
    """The last bad bar, or the last session that an action withholds. None in documents of earlier versions."""
    move: float
    """Return from the bar before; 0.01 = 1 %."""
    ratio: str = ""
    """The overnight move as a ratio, such as `20:1`; empty where the move is kept."""
    rule: str = ""
    verdict: str
    overrule: str = ""
    """The line of a market file that keeps the move as a return; empty where it is kept anyway."""


class PriceAudit(Part):
    """The leakage audit of the prices. `leakage.json` takes it over."""

    leaks: tuple[str, ...]
    """A sentence for each leak."""
    checked: tuple[str, ...]
    """A sentence for each check that was made."""
    not_audited: tuple[str, ...]
    """A sentence for each use of later knowledge that no check here can find."""


class Prices(Document):
    """Facts about the prices of a run."""

    stage: ClassVar[str] = "prices"
    artifact: ClassVar[str] = "prices.json"

    source: str
    """Name of the source for display. It contains no path."""
    calendar: str
    as_of: dt.date
    columns: Columns
    tickers: int
    sessions: int
    first_session: dt.date
    last_session: dt.date
    benchmark: str
    """Origin of the benchmark; `none` without one."""
    vix: str | None
    """Origin of the VIX; None without one."""
    sectors: int
    """Number of sectors."""
    sector_dates: str = Field(default="", exclude_if=lambda sentence: not sentence)
    """Whether sectors are point in time, as a sentence; empty without sectors and in documents of earlier versions."""
    universe: str
    """Whether membership is point in time, as a sentence."""
    coverage: float
    """Share of the universe's ticker-sessions that have a bar after exclusions."""
    excluded: tuple[ExcludedBars, ...] = Field(
        validation_alias=AliasChoices("excluded", "set_aside"), serialization_alias="set_aside"
    )
    """The key `set_aside` of prices.json."""
    large_moves: tuple[LargeMove, ...] = ()
    """By ticker and date."""
    restated: tuple[str, ...]
    """Tickers whose past prices the source has changed."""
    snapshot: str
    """SHA-256 of the data that the source returned."""
    withholds: bool = False
    """Whether as-of or `end` leaves out newer sessions that the source has."""
    audit: PriceAudit | None = None
    """None in a run that fits no model, and in documents of earlier versions."""


class PriceHead(Part):
    """`markets/<market>/<source>/head.json`: the newest snapshot of a market's prices."""

    snapshot: str
    """SHA-256 of the snapshot."""
    source: str
    last: Annotated[dt.date | None, BeforeValidator(lambda value: None if value == "NaT" else value)]
    """Date of its newest bar, None where it has none. Versions up to 0.2 wrote NaT for None."""
