"""Prices from Yahoo Finance through yfinance. The network is asked in `download` and nowhere else."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pandas as pd

from foundry_tasks.contract.errors import ConfigError, DataRejectedError, TransientError
from foundry_tasks.data.tidy import tidy

_FIRST_DATE = date(1990, 1, 1)
_SILENT_SHARE = 0.05
"""More tickers than this without an answer are a failure of the network and not of the tickers."""


class YahooSource:
    """Split-adjusted bars with a dividend-adjusted close beside them. Live: the same question may be answered anew."""

    name = "yfinance"

    def __init__(self, tickers: Sequence[str]) -> None:
        if not tickers:
            raise ConfigError("source='yfinance' needs tickers: name those of your universe, such as AAPL,MSFT.")
        self.identity: Mapping[str, str] = {"source": "yfinance", "tickers": ",".join(sorted(tickers))}

    def fingerprint(self) -> None:
        return None

    def last_date(self) -> None:
        return None

    def first_date(self, tickers: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's
        return None

    def benchmark(self) -> None:
        return None

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> pd.DataFrame:
        try:
            wide = download(list(tickers), start or _FIRST_DATE, end)
        except Exception as error:  # whatever a network client throws, a retry may help and a traceback will not
            raise TransientError(f"yfinance failed: {' '.join(str(error).split())[:160]}. Try again later.") from error
        if wide is None or wide.empty:
            raise TransientError(
                f"yfinance has no prices for {', '.join(tickers[:5])}{' …' if len(tickers) > 5 else ''} from "
                f"{start or _FIRST_DATE} to {end}. Check the tickers and the connection, then try again."
            )
        table = long_format(wide)
        silent = sorted(set(tickers) - set(table["ticker"].unique()))
        if len(silent) > max(1, _SILENT_SHARE * len(tickers)):
            raise TransientError(
                f"yfinance answered for {len(tickers) - len(silent)} of {len(tickers)} tickers, not for "
                f"{', '.join(silent[:5])}. Check those names, then try again later."
            )
        return table


def download(tickers: list[str], start: date, end: date | None) -> pd.DataFrame | None:
    """Ask Yahoo. Columns (ticker, field), index of dates."""
    import yfinance  # noqa: PLC0415 - imported only when chosen

    frame: pd.DataFrame | None = yfinance.download(
        tickers,
        start=start.isoformat(),
        end=None if end is None else (end + timedelta(days=1)).isoformat(),
        auto_adjust=False,
        actions=False,
        group_by="ticker",
        multi_level_index=True,
        progress=False,
        threads=True,
    )
    return frame


def long_format(wide: pd.DataFrame) -> pd.DataFrame:
    """yfinance's frame in the tidy schema; days on which a ticker has no close are left out."""
    if wide.columns.nlevels != 2:
        raise DataRejectedError(
            "yfinance answered in an unknown form. Use the version of yfinance that is locked here."
        )
    if "Close" in wide.columns.get_level_values(0):
        wide = wide.swaplevel(axis=1)
    parts = []
    for ticker in dict.fromkeys(wide.columns.get_level_values(0)):
        bars = wide[ticker].dropna(subset=["Close"])
        if len(bars):
            bars = bars.rename_axis(index="Date", columns=None)
            parts.append(tidy(bars, where=f"yfinance {ticker}", ticker=str(ticker)))
    if not parts:
        raise TransientError("yfinance answered without a single close. Check the tickers, then try again.")
    return pd.concat(parts, ignore_index=True)
