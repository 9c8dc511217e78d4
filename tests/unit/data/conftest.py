"""Live price sources against servers of our own."""

from datetime import date

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.stage_io import Identity, StageIO
from tests.market_bars import sound_bars
from tests.price_servers import reachable


class Counting:
    """A progress that remembers what it was told."""

    def __init__(self):
        self.total, self.notes = 0, []

    def start(self, label, total):  # noqa: ARG002 - Progress has it
        self.total += total

    def advance(self, note=""):
        self.notes.append(note)


@pytest.fixture
def servers(tmp_path, monkeypatch):
    """The hosts of the live sources; two tickers until a test gives it others."""
    bars = sound_bars(("AAA", "BBB")).assign(adj_close=lambda table: table["close"] * 0.98)
    with reachable(tmp_path / "servers", bars, monkeypatch) as running:
        yield running


@pytest.fixture
def make_io(tmp_path):
    """A StageIO of the prices stage; its store outlives it."""

    def make(run_id="run", secrets=None):
        workspace = tmp_path / "workspace" / run_id
        workspace.mkdir(parents=True, exist_ok=True)
        return StageIO(
            identity=Identity("foundry_daily", run_id, "prices", None, date(2021, 6, 30)),
            store=LocalStore(tmp_path / "store"),
            expectations=None,
            registry=None,
            progress=Counting(),
            workspace=workspace,
            now=None,
            code_version="test",
            image_digest="",
            secret=(secrets or {}).get,
        )

    return make
