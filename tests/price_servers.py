"""Local servers for the hosts of live price sources: an HTTPS proxy that answers itself.

Clients find it by the usual variables (`HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`), so they run unchanged.
"""

import json
import socketserver
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from foundry_tasks.data import live_source

HOSTS = (
    "fc.yahoo.com", "guce.yahoo.com", "consent.yahoo.com", "finance.yahoo.com", "query1.finance.yahoo.com",
    "query2.finance.yahoo.com", "api.tiingo.com",
)  # fmt: skip
NEW_YORK = "America/New_York"

Trouble = Callable[[str], None]
"""Called with a ticker or another request's path: raises ReplyError, sleeps, or does nothing."""


class ReplyError(Exception):
    """The host's answer instead of bars."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers


class PriceServers(socketserver.ThreadingTCPServer):
    """bars: tidy frame of the hosts' data, with optional columns split and dividend.

    asked: number of requests per ticker. trouble: called before each answer with the ticker or another request's path; raises
    ReplyError or sleeps. live: Yahoo's form of the newest bar: `daily` like the others, `instead` with the time of the last
    trade (noon), `beside` both. elsewhere: Tiingo's data if not `bars`.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, folder: Path, bars: pd.DataFrame) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bars = bars
        self.asked: Counter[str] = Counter()
        self.trouble: Trouble = lambda _: None
        self.key = "a-key-of-a-test"
        self.live: Literal["daily", "instead", "beside"] = "daily"
        self.elsewhere: pd.DataFrame | None = None
        self.ca = _certificates(folder)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(folder / "host.pem")
        self.lock = threading.Lock()

    @property
    def variables(self) -> dict[str, str]:
        proxy = f"http://127.0.0.1:{self.server_address[1]}"
        return {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "",
            "no_proxy": "",
            "REQUESTS_CA_BUNDLE": str(self.ca),
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""

    def answer(self, host: str, path: str, query: Mapping[str, str], headers: Message) -> Any:
        if host == "api.tiingo.com":
            return self.tiingo(path, query, headers)
        return self.yahoo(host, path, query)

    # ------------------------------------------------------------ Yahoo
    def yahoo(self, host: str, path: str, query: Mapping[str, str]) -> Any:
        if host == "fc.yahoo.com":
            raise ReplyError(
                404,
                "",
                **{"Set-Cookie": "A3=d=made-up&S=up; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure; HttpOnly"},
            )
        if path == "/v1/test/getcrumb":
            self.trouble(path)
            return "made.up/crumb"
        if not path.startswith("/v8/finance/chart/"):
            raise ReplyError(
                404,
                {"quoteSummary": {"result": None, "error": {"code": "Not Found", "description": "Quote not found"}}},
            )
        ticker = path.rpartition("/")[2]
        if "period1" in query:
            with self.lock:
                self.asked[ticker] += 1
        self.trouble(ticker)
        bars = self.bars[self.bars["ticker"] == ticker]
        if bars.empty:
            raise ReplyError(404, _chart(error=("Not Found", "No data found, symbol may be delisted")))
        opens = (bars["date"].astype("datetime64[s]") + pd.Timedelta(hours=9.5)).dt.tz_localize(NEW_YORK)
        seconds = opens.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[s]").astype("int64")
        if "period1" in query:
            within = (seconds >= int(query["period1"])) & (seconds < int(query["period2"]))
            bars, seconds = bars[within], seconds[within]
            if bars.empty:
                said = f"Data doesn't exist for startDate = {query['period1']}, endDate = {query['period2']}"
                raise ReplyError(400, _chart(error=("Bad Request", said)))
        else:
            bars, seconds = bars.tail(1), seconds.tail(1)
        if self.live == "beside":
            bars, seconds = pd.concat([bars, bars.tail(1)]), pd.concat([seconds, seconds.tail(1)])
        if self.live != "daily":
            seconds = pd.concat([seconds.iloc[:-1], seconds.tail(1) + 9000])
        return _chart(result=_chart_result(ticker, bars, seconds))

    # ------------------------------------------------------------ Tiingo
    def tiingo(self, path: str, query: Mapping[str, str], headers: Message) -> list[dict[str, Any]]:
        if headers.get("Authorization") != f"Token {self.key}":
            raise ReplyError(401, {"detail": "Invalid token."})
        ticker = path.split("/")[3]
        with self.lock:
            self.asked[ticker] += 1
        self.trouble(ticker)
        bars = self.bars if self.elsewhere is None else self.elsewhere
        bars = bars[bars["ticker"] == ticker]
        if bars.empty:
            raise ReplyError(404, {"detail": f"Error: Ticker '{ticker}' not found"})
        bars = bars[bars["date"] >= query.get("startDate", "1900-01-01")]
        if "endDate" in query:
            bars = bars[bars["date"] <= query["endDate"]]
        rows: Iterator[Any] = bars.itertuples()
        return [
            {
                "date": f"{bar.date:%Y-%m-%d}T00:00:00.000Z", "close": bar.close, "high": bar.high, "low": bar.low,
                "open": bar.open, "volume": int(bar.volume), "adjClose": bar.adj_close, "adjHigh": bar.high,
                "adjLow": bar.low, "adjOpen": bar.open, "adjVolume": int(bar.volume), "divCash": 0.0,
                "splitFactor": getattr(bar, "split", 1.0),
            }
            for bar in rows
        ]  # fmt: skip


def _chart(result: dict[str, Any] | None = None, error: tuple[str, str] | None = None) -> dict[str, Any]:
    said = None if error is None else {"code": error[0], "description": error[1]}
    return {"chart": {"result": result and [result], "error": said}}


def _chart_result(ticker: str, bars: pd.DataFrame, seconds: "pd.Series[int]") -> dict[str, Any]:
    def numbers(name: str) -> list[float | None]:
        return [None if value != value else float(value) for value in bars[name]]  # noqa: PLR0124 - true for NaN only

    last = int(seconds.iloc[-1])
    return {
        "meta": {
            "currency": "USD", "range": "", "dataGranularity": "1d", "symbol": ticker, "exchangeName": "NMS",
            "fullExchangeName": "NasdaqGS", "instrumentType": "EQUITY",
            "firstTradeDate": 345479400, "regularMarketTime": last + 23400, "hasPrePostMarketData": True, "gmtoffset": -18000,
            "timezone": "EST", "exchangeTimezoneName": NEW_YORK, "regularMarketPrice": numbers("close")[-1], "priceHint": 2,
            "currentTradingPeriod": {
                part: {"timezone": "EST", "start": last, "end": last + 23400, "gmtoffset": -18000}
                for part in ("pre", "regular", "post")
            },
            "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
        },
        "timestamp": [int(moment) for moment in seconds],
        "indicators": {
            "quote": [{name: numbers(name) for name in ("open", "high", "low", "close", "volume")}],
            "adjclose": [{"adjclose": numbers("adj_close")}],
        },
    }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    server: PriceServers
    protocol_version = "HTTP/1.1"
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.partition(":")[0]
        if self.host not in HOSTS:
            self.send_error(403, f"a test reached for {self.host}")
            return
        self.send_response_only(200)
        self.end_headers()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
        self.close_connection = False

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        try:
            status, headers = 200, dict[str, str]()
            body = self.server.answer(self.host, url.path, query, self.headers)
        except ReplyError as reply:
            status, body, headers = reply.status, reply.body, reply.headers
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response_only(status, HTTPStatus(status).phrase)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def do_POST(self) -> None:
        self.do_GET()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.connection.close()


@contextmanager
def price_servers(folder: Path, bars: pd.DataFrame) -> Iterator[PriceServers]:
    """The servers, running."""
    with PriceServers(folder, bars) as servers:
        threading.Thread(target=servers.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield servers
        finally:
            servers.shutdown()


@contextmanager
def reachable(folder: Path, bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceServers]:
    """The running servers, used by every client of this process, without waits between rounds of retries."""
    import yfinance  # noqa: PLC0415 - slow to import

    folder.mkdir()
    with price_servers(folder, bars) as running:
        for name, value in running.variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(live_source, "WAITS_S", (0, 0.01, 0.01, 0.01))
        monkeypatch.setattr(type(yfinance.data.YfData), "_instances", {})
        yfinance.set_tz_cache_location(str(folder))
        yield running


def too_many(tickers_or_all: Collection[str] | None = None, times: int = 10**9) -> Trouble:
    """Trouble: 429 for the first `times` requests for a ticker."""
    left: Counter[str] = Counter()

    def trouble(ticker: str) -> None:
        left[ticker] += 1
        if (tickers_or_all is None or ticker in tickers_or_all) and left[ticker] <= times:
            raise ReplyError(429, "Too Many Requests\r\n")

    return trouble


def hang(seconds: float, tickers: Collection[str]) -> Trouble:
    """Trouble: no answer for `seconds`."""

    def trouble(ticker: str) -> None:
        if ticker in tickers:
            time.sleep(seconds)

    return trouble


def _certificates(folder: Path) -> Path:
    """Write `host.pem`, key and certificate for HOSTS. Returns the file of the signing authority."""
    now = datetime.now(UTC)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "host")}
    names = {name: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Foundry test {name}")]) for name in keys}

    def signed(name: str, *extensions: x509.ExtensionType) -> bytes:
        made = x509.CertificateBuilder(
            names["ca"], names[name], keys[name].public_key(), x509.random_serial_number(),
            now - timedelta(days=1), now + timedelta(days=30),
        )  # fmt: skip
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(keys["ca"].public_key())
        own = x509.SubjectKeyIdentifier.from_public_key(keys[name].public_key())
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=name == "ca", crl_sign=name == "ca", content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        made = made.add_extension(authority, critical=False).add_extension(own, critical=False)
        made = made.add_extension(usage, critical=True)
        for extension in extensions:
            made = made.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return made.sign(keys["ca"], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    private = keys["host"].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    alternatives = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    (folder / "host.pem").write_bytes(
        private + signed("host", x509.BasicConstraints(ca=False, path_length=None), alternatives)
    )
    (folder / "ca.pem").write_bytes(signed("ca", x509.BasicConstraints(ca=True, path_length=None)))
    return folder / "ca.pem"
