"""A price source as a contributor writes it: one file, which a test copies into `data/sources`."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.price_source import Series
from foundry_tasks.data.sessions import sessions_between

FIRST, LAST = date(2021, 1, 4), date(2021, 12, 31)
TICKERS = ("AAA", "BBB", "CCC")


def open_source(config: PricesConfig, named: str, io: StageIO | None) -> "SineSource":
    return SineSource(config.calendar)


class SineSource:
    """Closes that swing around 100, each ticker's by a phase of its own."""

    name = "sine"
    silent: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()

    def __init__(self, calendar: str) -> None:
        self.identity: Mapping[str, str] = {"source": "sine", "calendar": calendar}
        self._sessions = sessions_between(calendar, FIRST, LAST)

    def fingerprint(self) -> str:
        return "sine of 2021"

    def last_date(self) -> date:
        return LAST

    def first_date(self, tickers: Sequence[str]) -> date | None:  # noqa: ARG002 - they begin together
        return FIRST

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> pd.DataFrame:
        table = pd.concat(
            pd.DataFrame({"date": self._sessions, "ticker": ticker, "close": closes(len(self._sessions), phase)})
            for phase, ticker in enumerate(TICKERS)
            if not tickers or ticker in tickers
        )
        wanted = table["date"].between(pd.Timestamp(start or FIRST), pd.Timestamp(end or LAST))
        return table[wanted].reset_index(drop=True)

    def benchmark(self) -> Series | None:
        return None


def closes(n_sessions: int, phase: int) -> np.ndarray:
    """(n_sessions,)."""
    return 100 + 10 * np.sin(np.arange(n_sessions) / 9 + phase)
