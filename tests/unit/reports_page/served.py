"""The reports page in a separate process, started like its image, on a real store."""

import base64
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from foundry_tasks.contract.environment_variables import REPOSITORY

PASSWORD = "pass:wörd"  # noqa: S105 - colons and umlauts are likely to fail


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: http.client.HTTPMessage
    text: str


class Page:
    """A running page."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, user: str | None = "foundry", password: str = PASSWORD, method: str = "GET") -> Answer:
        """GET a path, sent unchanged. Without a user the request has no login."""
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        return self.ask(path, {"Authorization": f"Basic {token}"} if user is not None else {}, method)

    def ask(self, path: str, headers: dict[str, str], method: str = "GET") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())


def command(*options: str) -> list[str]:
    folder = str(REPOSITORY / "images" / "reports")
    return [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", folder, "--no-access-log", *options]


@contextlib.contextmanager
def running_page(environment: dict[str, str]) -> Iterator[Page]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen(
        command("--port", str(port), "--http", "h11"), env=os.environ | environment, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "the page did not start"
            time.sleep(0.1)
        else:
            pytest.fail("the page does not answer")
        yield Page(port)
    finally:
        process.terminate()
        process.wait(60)


def write_run(
    store: Path,
    run_id: str,
    log: list[dict[str, Any]],
    verdicts: dict[str, tuple[str, float | None]] | None = None,
    pages: tuple[str, ...] = (),
    dag: str = "foundry_train",
    prices_until: str = "",
) -> str:
    """Write the documents of a run that the page reads. prices_until: last session of its prices. Returns the run's folder."""
    key = f"{run_id}-0123abcd"
    folder = store / "runs" / dag / key
    folder.mkdir(parents=True)
    lines = [
        {"run_id": run_id, "shard": None, "status": "ok", "date": "2026-07-01", "warnings": []} | line for line in log
    ]
    (folder / "run_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if prices_until:
        (folder / "prices" / "-").mkdir(parents=True)
        document = {"run_id": run_id, "as_of": prices_until, "config": {"market": "us"}, "metrics": {}}
        (folder / "prices" / "-" / "result.json").write_text(json.dumps(document))
    if verdicts:
        metrics = {horizon: {"verdict": verdict, "auc": auc} for horizon, (verdict, auc) in verdicts.items()}
        (folder / "gates" / "-").mkdir(parents=True)
        document = {"run_id": run_id, "as_of": "2026-06-30", "config": {"market": "us"}, "metrics": metrics}
        (folder / "gates" / "-" / "result.json").write_text(json.dumps(document))
    for page in pages:
        path = store / "pages" / dag / key / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<p>page</p>")
    return key
