"""Prices from Yahoo Finance through yfinance. Only `history` uses the network."""

import warnings
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from http import HTTPStatus

import pandas as pd

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.live_source import Ask, BusyError, LiveSource, NoBarsError, one_line
from foundry_tasks.data.tidy import tidy

_TIMEOUT_S = 10.0


def open_source(config: PricesConfig, named: str, io: StageIO | None) -> "YahooSource":  # noqa: ARG001 - no files
    """Yahoo Finance, for the tickers of the conf. Raises ConfigError without tickers."""
    return YahooSource(config.tickers, io)


class YahooSource(LiveSource):
    """Split-adjusted bars and a dividend-adjusted close."""

    name = "yfinance"

    def question(self, start: date, end: date | None) -> Ask:
        """The request to Yahoo; it needs no key."""
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"yfinance\.")  # from its use of pandas
        return partial(history, start=start, end=end)


def history(ticker: str, start: date, end: date | None) -> pd.DataFrame:
    """Yahoo's bars of a ticker from `start` to `end` that have a close, as a tidy frame. Raises NoBarsError, BusyError."""
    import yfinance  # noqa: PLC0415 - imported only when chosen

    yfinance.config.debug.hide_exceptions = False
    bars = partial(yfinance.Ticker(ticker).history, auto_adjust=False, actions=False, timeout=_TIMEOUT_S)
    try:
        found = bars(start=start, end=None if end is None else end + timedelta(days=1))
    except Exception as error:  # a network client may raise any error
        if reason := _reason(error, bars):
            raise NoBarsError(reason) from error
        yfinance.data.YfData.cache_get.cache_clear()  # it also caches failures, which a retry would get back
        raise BusyError(one_line(error)) from error
    found = found.dropna(subset=["Close"])
    if found.empty:
        raise NoBarsError(f"no close from {start} to {end}")
    return tidy(found.rename_axis(index="Date", columns=None), where=f"yfinance {ticker}", ticker=ticker)


def _reason(error: Exception, bars: Callable[..., pd.DataFrame]) -> str | None:
    """Yahoo's text on why it has no bars of a ticker; None if it gave none.

    yfinance first requests a new ticker's time zone. For an unknown ticker this fails with a 404 or without a time zone, and
    Yahoo's text is lost. A request without dates needs no time zone and returns the text, but yfinance makes two other
    attempts at the time zone first, hence three tries.
    """
    from yfinance.exceptions import YFPricesMissingError, YFTzMissingError  # noqa: PLC0415 - as above

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, YFTzMissingError) or status == HTTPStatus.NOT_FOUND:
        for _ in range(3):
            try:
                bars(period="5d")
            except Exception as another:
                error = another
            if isinstance(error, YFPricesMissingError):
                break
    if isinstance(error, YFPricesMissingError) and error.yahoo_reason is not None:
        return one_line(Exception(error.yahoo_reason))
    return None
