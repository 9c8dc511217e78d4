"""End-of-day prices from Tiingo through its Python client, with an account's key. Only `prices` uses the network."""

import logging
from datetime import date
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pandas as pd

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import ConfigError, DataRejectedError
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.live_source import Ask, BusyError, LiveSource, NoBarsError, one_line
from foundry_tasks.data.tidy import tidy

if TYPE_CHECKING:
    from tiingo import TiingoClient

SECRET = "tiingo_api_key"  # noqa: S105 - the name of a file, not what is in it
_TIMEOUT_S = 20.0
_COLUMNS = ("date", "open", "high", "low", "close", "volume", "adjClose", "splitFactor")


def open_source(config: PricesConfig, named: str, io: StageIO | None) -> "TiingoSource":  # noqa: ARG001 - no files
    """Tiingo, for the tickers of the conf. Raises ConfigError without tickers."""
    return TiingoSource(config.tickers, io)


class TiingoSource(LiveSource):
    """Split-adjusted bars and a dividend-adjusted close, computed from Tiingo's unadjusted bars."""

    name = "tiingo"

    def question(self, start: date, end: date | None) -> Ask:
        """The request to Tiingo, with the key of the secret file. Raises ConfigError without a key."""
        key = self._io.environment.files.secret(SECRET) if self._io else None
        if not key:
            raise ConfigError(f"source='tiingo' needs a key. Lay it as {SECRET} into the folder FOUNDRY_SECRETS.")
        logging.getLogger().addFilter(_not_of_the_client)
        return partial(prices, _client_class()({"api_key": key}), start=start, end=end)


def prices(client: "TiingoClient", ticker: str, start: date, end: date | None) -> pd.DataFrame:
    """Tiingo's bars of a ticker from `start` to `end` that have a close, as a tidy frame.

    All bars since `start` are requested, because bars are also adjusted for splits after `end`, as Yahoo's are. Raises
    NoBarsError, BusyError, and ConfigError for a wrong key.
    """
    from tiingo.restclient import RestClientError  # noqa: PLC0415 - imported only when chosen

    try:
        rows = client.get_ticker_price(ticker, startDate=start.isoformat(), frequency="daily")
    except RestClientError as error:
        raise _meaning(error) from error
    except Exception as error:  # a network client may raise any error
        raise BusyError(one_line(error)) from error
    if not isinstance(rows, list):  # Tiingo may report an exceeded account limit with status 200
        raise BusyError(one_line(Exception(_detail(rows))))
    bars = split_adjusted(pd.DataFrame(rows), ticker) if rows else None
    if bars is not None and end is not None:
        bars = bars[bars["date"] <= pd.Timestamp(end)].reset_index(drop=True)
    if bars is None or bars.empty:
        raise NoBarsError(f"no prices from {start} to {end}")
    return bars


def split_adjusted(rows: pd.DataFrame, ticker: str) -> pd.DataFrame:
    """The tidy frame of Tiingo's rows: prices divided and volume multiplied by the later splits; `adjClose` unchanged.

    A row's splitFactor is the ratio of the split that takes effect on its day. Raises DataRejectedError for missing columns.
    """
    if lacking := [name for name in _COLUMNS if name not in rows]:
        raise DataRejectedError(
            f"tiingo answered for {ticker} without {', '.join(lacking)}. Use the version of its client that is locked here."
        )
    rows = rows.sort_values("date", kind="stable")
    after = rows["splitFactor"][::-1].cumprod()[::-1] / rows["splitFactor"]
    table = {name: rows[name] / after for name in ("open", "high", "low", "close")}
    frame = pd.DataFrame(
        {"date": rows["date"].str[:10], **table, "adj_close": rows["adjClose"], "volume": rows["volume"] * after}
    )
    return tidy(frame.dropna(subset=["close"]), where=f"tiingo {ticker}", ticker=ticker)


def _meaning(error: Exception) -> Exception:
    """The error that an HTTP status means: wrong key, unknown ticker or busy server."""
    response = getattr(error.args[0], "response", None)
    status = getattr(response, "status_code", None)
    detail = one_line(Exception(_detail(response)))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ConfigError(f"tiingo refuses the key: {detail}. Correct {SECRET} in the folder FOUNDRY_SECRETS.")
    if status == HTTPStatus.NOT_FOUND:
        return NoBarsError(detail)
    return BusyError(detail)


def _detail(answer: Any) -> str:
    """The text of an answer without bars."""
    if hasattr(answer, "json"):
        try:
            answer = answer.json()
        except ValueError:
            answer = f"{answer.status_code} {answer.reason}"
    return str(answer.get("detail", answer) if isinstance(answer, dict) else answer)


@cache
def _client_class() -> "type[TiingoClient]":
    """The client class with a time-out, which the original lacks."""
    from tiingo import TiingoClient  # noqa: PLC0415 - as above

    class Client(TiingoClient):  # type: ignore[misc]  # the package has no types
        def _request(self, method: str, url: str, **options: Any) -> Any:
            return super()._request(method, url, timeout=_TIMEOUT_S, **options)

    return Client


def _not_of_the_client(record: logging.LogRecord) -> bool:
    """Log filter against the client, which logs every error's content to the root logger; the raised error holds it."""
    return record.module != "restclient"
