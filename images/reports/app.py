"""The reports page: reports and Data Docs of all runs over HTTP, and links to Airflow and MLflow.

It reads the store and writes nothing. Only `/health` needs no password. The Content-Security-Policy forbids scripts and
external resources in all pages, whoever wrote them.
"""

import base64
import binascii
import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from runs import Runs
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import foundry_tasks.report
from foundry_tasks.adapters.stores import open_store
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import ConfigError, FoundryError
from foundry_tasks.contract.ports import Store
from foundry_tasks.report import wording

USER = "foundry"
PASSWORD = "reports_password"  # noqa: S105 - the secret file's name
SHOWN = 200
"""Number of runs on the start page."""
TYPES = {"html": "text/html", "json": "application/json", "md": "text/markdown", "csv": "text/csv"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PAGE = re.compile(r"pages(/[A-Za-z0-9_=-][A-Za-z0-9_.=-]*){2,6}\.(?P<kind>html|json|md|csv)", re.ASCII)
"""No part of a key begins with a dot, so `..` cannot leave the folder."""
_STYLE = Path(foundry_tasks.report.__file__).parent / "page.css"


class Guarded:
    """Requires the password, except for `/health`, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, password: str) -> None:
        self._app = app
        self._expected = f"{USER}:{password}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401 and name the file of the password."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] != "http" or scope["path"] == "/health" or self._knows(Headers(scope=scope)):
            await self._app(scope, receive, send_with_headers)
            return
        asked = {"WWW-Authenticate": 'Basic realm="Foundry", charset="UTF-8"'}
        refusal = PlainTextResponse(f"The user is {USER}, the password in secrets/{PASSWORD}.\n", 401, asked)
        await refusal(scope, receive, send_with_headers)

    def _knows(self, headers: Headers) -> bool:
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, self._expected) and scheme.lower() == "basic"


def make_app(store: Store, password: str, links: Mapping[str, str]) -> Starlette:
    """The application. links: `airflow` and `mlflow` → address, or ""."""
    runs = Runs(store)
    template = _template()

    def start(_: Request) -> Response:
        found = runs.newest_first()
        return HTMLResponse(template.render(runs=found[:SHOWN], older=len(found[SHOWN:]), links=links))

    def page(request: Request) -> Response:
        key = f"pages/{request.path_params['path']}"
        known = _PAGE.fullmatch(key)
        content = store.read(key) if known else None
        if known is None or content is None:
            return PlainTextResponse("There is no such page. The start page lists those that there are.\n", 404)
        return Response(content, media_type=f"{TYPES[known['kind']]}; charset=utf-8")

    def health(_: Request) -> Response:
        store.read("pages/health")  # the key need not exist; the store must answer
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[Route("/", start), Route("/health", health), Route("/pages/{path:path}", page)],
        middleware=[Middleware(Guarded, password=password)],
        exception_handlers={FoundryError: _store_failed},
    )


def _store_failed(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 503)


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "days": wording.horizon_name,
        "figure": wording.plain,
        "whole": lambda text: quote(text, ""),
    }
    environment.globals |= {"style": _STYLE.read_text(), "signs": wording.VERDICT_SIGNS}
    return environment.get_template("start_page.html.j2")


def from_environment(environment: Mapping[str, str] = os.environ) -> Starlette:
    """The application with settings of FOUNDRY_*, AIRFLOW_URL and MLFLOW_URL. Raises ConfigError without a password."""
    settings = Settings.from_environment(environment)
    password = settings.secret(PASSWORD)
    if not password:
        where = settings.secrets or "FOUNDRY_SECRETS, which is not set"
        raise ConfigError(f"no password: put one into the file {PASSWORD} of {where}.")
    links = {name: environment.get(f"{name.upper()}_URL", "").rstrip("/") for name in ("airflow", "mlflow")}
    return make_app(open_store(settings), password, links)


def _app() -> Starlette:
    try:
        return from_environment()
    except ConfigError as error:
        raise SystemExit(f"reports does not start: {error}") from error


app = _app()
