"""A real S3 server for tests, started like its image, and a connection to it that can be cut."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from foundry_tasks.adapters.s3_server import S3Client
from foundry_tasks.contract.environment_variables import REPOSITORY, Settings

ENTRYPOINT = REPOSITORY / "images" / "s3" / "entrypoint"
TOOLS = REPOSITORY / ".tools" / "bin"
ACCOUNTS = ("root", "stage", "promote", "reports", "mlflow")


class S3Server:
    """versitygw with its data and secret files in one folder."""

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        need_versitygw()
        self.secrets = folder / "secrets"
        self.data = data or folder / "data"
        self.secrets.mkdir(parents=True)
        for account in ACCOUNTS:
            (self.secrets / f"s3_{account}_access_key").write_text(f"foundry-{account}\n")
            (self.secrets / f"s3_{account}_secret_key").write_text(secrets.token_hex(16) + "\n")
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start or restart it, and wait until it answers."""
        environment = {"PATH": _path(), "FOUNDRY_SECRETS": str(self.secrets), "DATA": str(self.data)}
        self.process = subprocess.Popen(
            [str(ENTRYPOINT)], env=environment | {"VGW_PORT": f"127.0.0.1:{self.port}"}, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + 120
        while not _listens(self.port):
            assert self.process.poll() is None, "the S3 server does not start"
            assert time.monotonic() < until, "the S3 server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it with SIGKILL, like a power cut."""
        self.process.kill()
        self.process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process: it accepts connections but does not answer."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def keys_of(self, account: str) -> Path:
        """Folder of secret files of this account, as in its container."""
        folder = self.secrets / account
        folder.mkdir(exist_ok=True)
        for name in ("access_key", "secret_key"):
            (folder / f"s3_{name}").write_text((self.secrets / f"s3_{account}_{name}").read_text())
        return folder

    def settings(self, store: str | None = None, *, account: str = "root", endpoint: str = "") -> Settings:
        """Settings for `store`, or for a store in a new bucket."""
        if store is None:
            store = f"s3://{self.bucket()}/a/prefix"
        return Settings(store=store, s3_endpoint=endpoint or self.endpoint, secrets=str(self.keys_of(account)))

    def bucket(self) -> str:
        """A new bucket."""
        name = f"bucket-{secrets.token_hex(6)}"
        self.client().create_bucket(Bucket=name)
        return name

    def client(self, account: str = "root") -> S3Client:
        """A boto3 client, to check the adapter's work."""
        access, secret = (
            (self.secrets / f"s3_{account}_{name}").read_text().strip() for name in ("access_key", "secret_key")
        )
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        return boto3.session.Session(access, secret, region_name="us-east-1").client(
            "s3", endpoint_url=self.endpoint, config=config
        )


class CutLine:
    """A connection to a server that loses answers to a method, before they begin or after some bytes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lose: list[tuple[bytes, int]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, method: str, *, after_bytes: int = 0, times: int = 1) -> None:
        """Lose the next answers to `method`, after the server has sent them."""
        self._lose += [(method.encode() + b" ", after_bytes)] * times

    @property
    def lost_all(self) -> bool:
        return not self._lose

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Serve one connection. A client sends a request only after the answer to the previous one."""
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._port)) as server:
            method = [b""]
            threading.Thread(target=self._upwards, args=(client, server, method), daemon=True).start()
            while answer := server.recv(65536):
                if self._lose and method[0] == self._lose[0][0] and not answer.startswith(b"HTTP/1.1 100"):
                    client.sendall(answer[: self._lose.pop(0)[1]])
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(answer)

    @staticmethod
    def _upwards(client: socket.socket, server: socket.socket, method: list[bytes]) -> None:
        with contextlib.suppress(OSError):
            while request := client.recv(65536):
                if request.split(b" ", 1)[0] in {b"GET", b"PUT", b"HEAD", b"POST"}:
                    method[0] = request.split(b" ", 1)[0] + b" "
                server.sendall(request)
            server.shutdown(socket.SHUT_WR)


def need_versitygw() -> None:
    """Skip the test without an S3 server."""
    if shutil.which("versitygw", path=_path()) is None:
        pytest.skip("no versitygw: install Go, and `make test` compiles it")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server, shared by tests that leave it running."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.kill()


@pytest.fixture
def own_s3_server(tmp_path: Path) -> Iterator[S3Server]:
    """A server that the test may kill, stop and restart."""
    server = S3Server(tmp_path / "s3")
    yield server
    server.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _path() -> str:
    return f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
