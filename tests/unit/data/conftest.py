"""Live price sources with local servers."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.stage_io import Code, Environment, StageIO
from foundry_tasks.contract.user_files import UserFiles
from tests.market_bars import sound_bars
from tests.price_servers import PriceServers, reachable

_UNUSED: Any = None
"""Stands in for ports that a price source does not use."""


class Counting:
    """A Progress that records its calls."""

    def __init__(self) -> None:
        self.total = 0
        self.notes: list[str] = []

    def start(self, label: str, total: int) -> None:  # noqa: ARG002 - signature of Progress
        self.total += total

    def advance(self, note: str = "") -> None:
        self.notes.append(note)


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceServers]:
    """The hosts of the live sources. Default: two tickers."""
    bars = sound_bars(("AAA", "BBB")).assign(adj_close=lambda table: table["close"] * 0.98)
    with reachable(tmp_path / "servers", bars, monkeypatch) as running:
        yield running


@pytest.fixture
def make_io(tmp_path: Path) -> Callable[..., StageIO]:
    """A StageIO of the prices stage. Several can share the store."""

    def make(run_id: str = "run", secrets: Mapping[str, str] | None = None) -> StageIO:
        workspace = tmp_path / "workspace" / run_id
        workspace.mkdir(parents=True, exist_ok=True)
        environment = Environment(
            store=LocalStore(tmp_path / "store"),
            expectations=_UNUSED,
            registry=_UNUSED,
            code=Code("test"),
            now=_UNUSED,
            files=UserFiles(secret=(secrets or {}).get),
        )
        identity = Identity("foundry_daily", run_id, "prices", None, date(2021, 6, 30))
        return StageIO.of(identity, environment, workspace, Counting())

    return make
