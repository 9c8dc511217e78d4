"""StageIO with a real store and real expectations."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from foundry_tasks.adapters.expectations_gx import GreatExpectations
from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.ports import Registry
from foundry_tasks.contract.stage_io import Code, Environment, StageIO
from foundry_tasks.runtime.progress import PlainProgress
from foundry_tasks.stages import prices

AS_OF = date(2021, 6, 30)
NOW = datetime(2021, 7, 1, 12, tzinfo=UTC)

RunPrices = Callable[..., StageIO]


@pytest.fixture
def make_io(tmp_path: Path) -> Callable[..., StageIO]:
    """A StageIO of a run. Several runs can share the store."""

    def make(run_id: str = "run", as_of: date = AS_OF, stage: str = "prices") -> StageIO:
        workspace = tmp_path / "workspace" / run_id
        workspace.mkdir(parents=True, exist_ok=True)
        environment = Environment(
            store=LocalStore(tmp_path / "store"),
            expectations=GreatExpectations(REPOSITORY / "expectations"),
            registry=cast(Registry, None),
            code=Code("test"),
            now=lambda: NOW,
        )
        return StageIO.of(
            Identity("foundry_train", run_id, stage, None, as_of), environment, workspace, PlainProgress()
        )

    return make


@pytest.fixture
def run_prices(make_io: Callable[..., StageIO]) -> RunPrices:
    """Run the prices stage on a config. Returns its StageIO."""

    def run(io: StageIO | None = None, **config: Any) -> StageIO:
        io = io or make_io()
        prices.run(PricesConfig(**config), io)
        return io

    return run
