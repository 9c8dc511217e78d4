"""A docker-proxy in a separate process, a recording engine, and bodies of containers for both."""

import contextlib
import http.client
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.types import HostConfig, LogConfig, Mount

from foundry_tasks.contract.environment_variables import REPOSITORY

IMAGE = "foundry-test/busybox"
NETWORK = "foundry-test-stages"
OUTSIDE = "foundry-test-outside"
FILES, GOVERNING, WORKSPACE = "foundry-test-stage", "foundry-test-promote", "foundry-test-workspace"
ENGINE = "/var/run/docker.sock"
RULES = {
    "FOUNDRY_PROXY_NETWORKS": f"{NETWORK},{OUTSIDE}",
    "FOUNDRY_PROXY_VOLUMES": f"{FILES}:ro, {GOVERNING}:ro, {WORKSPACE}",
    "FOUNDRY_PROXY_RESERVED": f"{GOVERNING}=gates|promote|decide,{OUTSIDE}=prices",
    "FOUNDRY_PROXY_MAX_MEMORY_MB": "512",
    "FOUNDRY_PROXY_MAX_CPUS": "2",
    "FOUNDRY_PROXY_MAX_PIDS": "64",
}
TMP = "/tmp"  # noqa: S108 - inside a container
NAME = "foundry_train-manual-0123abcd-models"


class Proxy:
    """A proxy in a separate process."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def client(self, **options: Any) -> docker.APIClient:
        return docker.APIClient(base_url=f"tcp://127.0.0.1:{self.port}", version="auto", **options)

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a call. The path is sent unchanged; a body that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            encoded = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, encoded, {"Content-Type": "application/json"} | (headers or {}))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")


@contextlib.contextmanager
def running_proxy(engine: str, images: str, **rules: str) -> Iterator[Proxy]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = ["uvicorn", "app:app", "--app-dir", str(REPOSITORY / "images" / "docker-proxy"), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--lifespan", "off", "--http", "h11"],
        env=os.environ | RULES | {"FOUNDRY_PROXY_ENGINE": engine, "FOUNDRY_PROXY_IMAGES": images} | rules,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "the proxy did not start"
            time.sleep(0.1)
        else:
            pytest.fail("the proxy does not answer")
        yield Proxy(process, port)
    finally:
        process.terminate()
        process.wait(60)


def busybox(folder: Path) -> Path:
    """A shell without libraries, from Debian's package."""
    fetched = subprocess.run(["apt-get", "download", "busybox-static"], cwd=folder, capture_output=True, check=False)
    if fetched.returncode:
        pytest.skip("Debian's busybox-static cannot be downloaded")
    package = next(folder.glob("*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder / "bin" / "busybox"


class Recorder(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """An engine that only records requests. /wait blocks until the client leaves; /logs breaks off."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.left = threading.Event()
        super().__init__(str(path), RecorderAnswer)


class RecorderAnswer(BaseHTTPRequestHandler):
    server: Recorder

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls.append((self.command, self.path, json.loads(body) if body else None))
        made = {"ApiVersion": "1.41", "Id": "f00d", "Config": {"Labels": {"foundry.managed": "true"}}}
        if "/logs" in self.path:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            self.close_connection = True
            return
        self.send_response(201 if self.path.startswith("/v1.41/containers/create") else 200)
        if "/wait" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            if not self.connection.recv(1):
                self.server.left.set()
            return
        text = b"OK" if self.path.endswith("/_ping") else json.dumps(made).encode()
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = answer  # noqa: N815 - the standard library's names

    def address_string(self) -> str:
        return "proxy"

    def log_message(self, *_: Any) -> None:
        return


def a_container(**changes: Any) -> dict[str, Any]:
    """The body of an allowed container. Changes may also name keys of HostConfig; `...` removes a key."""
    body: dict[str, Any] = {
        "Image": "sha256:cafe",
        "Cmd": ["models", "--dag", "foundry_train"],
        "User": "10001:10001",
        "Env": ["FOUNDRY_STORE=s3://foundry", "FOUNDRY_SECRETS=/run/foundry"],
        "Labels": {"foundry.managed": "true", "foundry.stage": "models"},
        "HostConfig": {
            "NetworkMode": NETWORK,
            "Mounts": [
                {"Type": "volume", "Source": FILES, "Target": "/run/foundry", "ReadOnly": True},
                {"Type": "volume", "Source": None, "Target": TMP, "ReadOnly": False},
            ],
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Init": True,
            "Memory": 64 << 20,
            "MemorySwap": 64 << 20,
            "NanoCpus": 10**9,
            "PidsLimit": 32,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}},
        },
    }
    own = {
        "Image",
        "Cmd",
        "User",
        "Env",
        "Labels",
        "Entrypoint",
        "NetworkingConfig",
        "Volumes",
        "WorkingDir",
        "Runtime",
    }
    for key, value in changes.items():
        part = body if key in own else body["HostConfig"]
        part[key] = value
        if value is ...:
            del part[key]
    return body


def host_config(**changes: Any) -> dict[str, Any]:
    """The HostConfig that docker-py makes for a stage."""
    asked = {
        "network_mode": NETWORK,
        "mounts": [Mount("/run/foundry", FILES, type="volume", read_only=True), Mount(TMP, None, type="volume")],
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "init": True,
        "nano_cpus": 10**9,
        "mem_limit": "64m",
        "memswap_limit": "64m",
        "pids_limit": 32,
        "log_config": LogConfig(type="json-file", config={"max-size": "1m", "max-file": "2"}),
    }
    limits: dict[str, Any] = HostConfig("1.41", **asked | changes)
    return limits


def make(client: docker.APIClient, image: str, command: list[str], name: str = NAME) -> str:
    made: str = client.create_container(
        image=image,
        command=command,
        name=name,
        user="10001:10001",
        environment={"FOUNDRY_STORE": "s3://foundry"},
        labels={"foundry.managed": "true", "foundry.stage": "models"},
        host_config=host_config(),
    )["Id"]
    return made
