"""Live price sources against servers of our own."""

from datetime import date

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.stage_io import Identity, StageIO
from foundry_tasks.data import live
from tests.market_bars import sound_bars
from tests.price_servers import price_servers


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
    """The hosts of the live sources; two tickers until a test gives it others. Nobody waits between two rounds."""
    import yfinance  # noqa: PLC0415 - it is slow to import

    (tmp_path / "servers").mkdir()
    bars = sound_bars(("AAA", "BBB")).assign(adj_close=lambda table: table["close"] * 0.98)
    with price_servers(tmp_path / "servers", bars) as running:
        for name, value in running.variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(live, "WAITS_S", (0, 0.01, 0.01, 0.01))
        monkeypatch.setattr(type(yfinance.data.YfData), "_instances", {})
        yfinance.set_tz_cache_location(str(tmp_path / "servers"))
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
