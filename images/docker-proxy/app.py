"""docker-proxy: Airflow's only access to the Docker engine, limited to stages' containers.

A client that may create any container controls the host, for example by `Binds: ["/:/host"]`. So Airflow has no access to
the engine's socket. It may create a stage's container, and watch, stop and remove containers with Foundry's label. All
other calls are refused with 403 and one line.

Existing proxies are not enough. Most check method and path only. Those that check the body (wollomatic/socket-proxy,
HAProxy's json_query) query a few keys by name, but the engine, written in Go, reads the body differently: it ignores the
case of keys ("privileged") and takes the last of repeated keys; and a query cannot walk an array of mounts. So this proxy
parses the body, checks it against a closed list of keys (container.py) and this host's rules (rules.py), and sends a new
body, serialised from the parsed one. The engine never reads a byte that the client wrote.
"""

import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

import httpx
from container import read_container, strict_json, write_container
from rules import MANAGED, Rules, managed_filters
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

Given = TypeVar("Given")
Made = TypeVar("Made")

log = logging.getLogger("uvicorn.error")

MAX_BODY = 256 << 10
OLDEST_API = 40
"""Oldest minor version of API 1.x. Older versions read bodies differently."""
_KEPT_HEADERS = ("content-type", "content-length", "api-version", "ostype", "docker-experimental", "server")


@dataclass(frozen=True, slots=True)
class Allowed:
    """An allowed call: method, path and query parameters."""

    method: str
    path: str
    """Regular expression for the whole path. Its only group is the name or ID of a container or image."""
    parameters: frozenset[str] = frozenset()

    @classmethod
    def call(cls, method: str, path: str, *parameters: str) -> "Allowed":
        """An allowed call. `{container}` in the path stands for a name or ID."""
        return cls(method, path.replace("{container}", r"([A-Za-z0-9][A-Za-z0-9_.-]*)"), frozenset(parameters))


PING = Allowed.call("GET", "/_ping")
LIST = Allowed.call("GET", "/containers/json", "all", "limit", "size", "trunc_cmd", "filters")
CREATE = Allowed.call("POST", "/containers/create", "name")
IMAGE = Allowed.call("GET", r"/images/([A-Za-z0-9][A-Za-z0-9_.:/@-]*)/json")
PLAIN = (PING, Allowed.call("HEAD", "/_ping"), Allowed.call("GET", "/version"))
ON_OURS = (
    Allowed.call("GET", "/containers/{container}/json", "size"),
    Allowed.call(
        "GET", "/containers/{container}/logs", "stdout", "stderr", "follow", "timestamps", "tail", "since", "until"
    ),
    Allowed.call("POST", "/containers/{container}/start"),
    Allowed.call("POST", "/containers/{container}/wait", "condition"),
    Allowed.call("POST", "/containers/{container}/stop", "t", "signal"),
    Allowed.call("POST", "/containers/{container}/kill", "signal"),
    Allowed.call("DELETE", "/containers/{container}", "v", "force", "link"),
)


class Refused(Exception):  # noqa: N818 - an answer rather than an error
    """The call is refused. The text says why."""

    def __init__(self, why: str, status: int = 403) -> None:
        super().__init__(why)
        self.status = status


class EngineAnswer(StreamingResponse):
    """Streams the engine's answer. If the engine breaks off, the client must see an incomplete answer."""

    async def stream_response(self, send: Send) -> None:
        """Stream the body. If the engine breaks off, close the connection without the final chunk."""
        try:
            await super().stream_response(send)
        except httpx.HTTPError as error:
            log.warning("the engine broke off in mid-answer: %s", type(error).__name__)


class DockerProxy:
    """The ASGI application. It has no state, in memory or on disk."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.engine = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=rules.engine, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0)
            ),
            base_url="http://docker",
            timeout=httpx.Timeout(None, connect=5.0),  # waiting for a stage and following its log take hours
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: 403 and one line if refused, 502 if the engine does not answer.

        Raises NotImplementedError for anything but HTTP.
        """
        if scope["type"] != "http":
            raise NotImplementedError(f"docker-proxy speaks HTTP alone, not {scope['type']}")
        request = Request(scope, receive)
        path = scope["raw_path"].decode("latin-1")
        try:
            answer = await self.answer(request, path)
        except Refused as refusal:
            log.warning("refused %s %a: %a", request.method, path[:200], str(refusal))
            answer = JSONResponse({"message": f"docker-proxy: {refusal}"}, refusal.status)
        except httpx.HTTPError as error:
            log.warning("the engine does not answer: %s", type(error).__name__)
            answer = JSONResponse({"message": "docker-proxy: the Docker engine does not answer. Is it running?"}, 502)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def answer(self, request: Request, path: str) -> Response:
        """The engine's answer to an allowed call. Raises Refused for any other call."""
        version, rest = _api_version(path)
        call, name = _allowed(request.method, rest)
        query = _parameters(request, call)
        body = None
        if call is LIST:
            query["filters"] = json.dumps(
                _or_refused(managed_filters, _or_refused(strict_json, query.get("filters", "{}")))
            )
        elif call is CREATE:
            body = await self._checked(request, query.get("name"))
        elif call is IMAGE and name not in self.rules.images:
            raise Refused(f"image {name[:80]} is not one of Foundry's")
        elif call in ON_OURS:
            known = await self._inspected(version, name)
            if isinstance(known, Response):
                return known
            rest = f"/containers/{known}{rest.removeprefix(f'/containers/{name}')}"
        return await self._engine(call.method, version + rest, query, body)

    async def _checked(self, request: Request, name: str | None) -> bytes:
        """The checked body of `containers/create`, serialised again. Raises Refused."""
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise Refused(f"the body is above {MAX_BODY >> 10} kB", 413)
        wanted = _or_refused(read_container, bytes(body))
        if faults := self.rules.faults(wanted, name):
            raise Refused("; ".join(faults))
        return write_container(wanted)

    async def _inspected(self, version: str, name: str) -> str | Response:
        """Full ID of one of Foundry's containers, or the engine's answer if it does not know the container."""
        answer = await self.engine.get(f"{version}/containers/{name}/json")
        if answer.status_code != httpx.codes.OK:
            return Response(answer.content, answer.status_code, _headers(answer))
        found = answer.json()
        if (found["Config"]["Labels"] or {}).get(MANAGED[0]) != MANAGED[1]:
            raise Refused(f"container {name[:80]} does not carry {'='.join(MANAGED)}, so it is not Foundry's")
        whole_id: str = found["Id"]
        return whole_id

    async def _engine(self, method: str, path: str, query: Mapping[str, str], body: bytes | None) -> Response:
        headers = {"content-type": "application/json"} if body else {}
        call = self.engine.build_request(method, path, params=query, content=body, headers=headers)
        answer = await self.engine.send(call, stream=True)
        return EngineAnswer(_pieces(answer), answer.status_code, _headers(answer))


async def _pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The body in chunks. Closes the connection to the engine when the client disconnects."""
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()


def _headers(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name in _KEPT_HEADERS}


def _api_version(path: str) -> tuple[str, str]:
    """Version prefix of a path, which may be empty, and the rest of the path."""
    found = re.match(r"/v1\.([0-9]{1,3})(?=/)", path)
    if found is None:
        return "", path
    if int(found[1]) < OLDEST_API:
        raise Refused(f"API 1.{found[1]} is too old; use 1.{OLDEST_API} or later")
    return found[0], path[found.end() :]


def _allowed(method: str, path: str) -> tuple[Allowed, str]:
    """The allowed call for a method and path, and the name in the path. The path is never URL-decoded. Raises Refused."""
    for call in (*PLAIN, LIST, CREATE, IMAGE, *ON_OURS):
        if call.method == method and (found := re.fullmatch(call.path, path)):
            return call, found[1] if found.groups() else ""
    raise Refused("this call is not needed to run stages")


def _parameters(request: Request, call: Allowed) -> dict[str, str]:
    pairs = _or_refused(_pairs, request.scope["query_string"])
    if repeated := {name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1}:
        raise Refused(f"parameter {min(repeated)[:40]} is given twice")
    if unknown := {name for name, _ in pairs} - call.parameters:
        raise Refused(f"parameter {min(unknown)[:40]} is not allowed here")
    return dict(pairs)


def _pairs(query: bytes) -> list[tuple[str, str]]:
    return parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query), max_num_fields=20)


def _or_refused(make: Callable[[Given], Made], given: Given) -> Made:
    try:
        return make(given)
    except ValueError as error:
        raise Refused(str(error)) from error


def _rules() -> Rules:
    try:
        return Rules.from_environment()
    except ValueError as error:
        raise SystemExit(f"docker-proxy does not start: {error}. Set them where the container is defined.") from error


app = DockerProxy(_rules())
