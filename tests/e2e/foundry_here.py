"""The whole pipeline in this process, with real store, Great Expectations, and MLflow on SQLite."""

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foundry_tasks.adapters.expectations_gx import GreatExpectations
from foundry_tasks.adapters.registry_mlflow import MlflowRegistry
from foundry_tasks.adapters.stores import open_store
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import NothingToDo
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.policy import RULES
from foundry_tasks.contract.results import StageResult
from foundry_tasks.contract.stages import PIPELINES
from foundry_tasks.contract.steps import Progress
from foundry_tasks.data.panel import PricePanel
from foundry_tasks.ledger import decisions
from foundry_tasks.ledger.chain import EvidenceLog
from foundry_tasks.ledger.links import SignOff
from foundry_tasks.runtime import runner
from foundry_tasks.runtime.progress import PlainProgress

EXPECTATIONS = Path(__file__).parents[2] / "expectations"
AS_OF = date(2026, 6, 30)
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)

TINY = {
    "horizons": [1],
    "models": ["logistic"],
    "seeds": 1,
    "folds": 2,
    "test_sessions": 30,
    "validation_sessions": 20,
    "warmup_blocks": 1,
    "audit_dates": 1,
    "feature_set": "core",
    "threads": 1,
}
"""A conf for runs of seconds, for tests of a run's outcome, not of the model's quality."""


class Foundry:
    """A laptop's installation in one folder."""

    def __init__(self, folder: Path, elsewhere: Settings | None = None) -> None:
        """elsewhere: settings of a store outside `folder`."""
        self.folder = folder
        self.settings = (elsewhere or Settings(store=str(folder / "store"))).model_copy(
            update={"mlflow_uri": f"sqlite:///{folder / 'mlflow.db'}", "mlflow_artifacts": str(folder / "mlartifacts")}
        )
        self.store = open_store(self.settings)
        self.registry = MlflowRegistry(self.settings.mlflow_uri, self.settings.mlflow_artifacts)

    def stage(
        self,
        name: str,
        run_id: str,
        conf: Mapping[str, Any],
        dag: str = "foundry_train",
        shard: str | None = None,
        *,
        as_of: date = AS_OF,
        now: datetime = NOW,
        progress: Progress | None = None,
    ) -> StageResult:
        """Run one stage like its container."""
        context = runner.RunContext(
            settings=self.settings,
            store=self.store,
            expectations=GreatExpectations(EXPECTATIONS),
            registry=self.registry,
            progress=progress or PlainProgress(),
            now=lambda: now,
            started=time.perf_counter(),
        )
        return runner.execute(Identity(dag, run_id, name, shard, as_of), conf, context)

    def agree(self, conf: Mapping[str, Any]) -> None:
        """Make the conf the market's policy, by a person's decision."""
        changes = {key: value for key, value in conf.items() if key in RULES}
        signed = SignOff("tester", "a small market", NOW)
        decisions.set_policy(self.store, self.registry, conf.get("market", "us"), changes, signed)

    def train(
        self, run_id: str, conf: Mapping[str, Any], *, until: str = "report", agreed: bool = True
    ) -> dict[str, StageResult]:
        """Run the training pipeline up to and including a stage. Returns the results without skipped stages.

        agreed: the conf of a market's first run becomes the market's policy.
        """
        results, skipping = {}, False
        stages = PIPELINES["foundry_train"]
        records = EvidenceLog(self.store).state().records
        judged = stages.index(until) >= stages.index("gates")
        if agreed and judged and conf.get("market", "us") not in {one.market for one in records}:
            self.agree(conf)
        for name in stages[: stages.index(until) + 1]:
            if skipping and name != "report":
                continue
            try:
                results[name] = self.stage(name, run_id, conf)
            except NothingToDo:
                skipping = True
        return results

    def document(self, result: StageResult, name: str) -> bytes:
        """The bytes of an artifact."""
        return self.store.object_path(result.outputs[name].sha256).read_bytes()


def write_market(folder: Path, panel: PricePanel) -> dict[str, Any]:
    """Write a market's prices, sectors and benchmark to files. Returns the conf that reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    n_sessions, n_tickers = panel.member.shape
    columns = {"date": np.repeat(panel.sessions, n_tickers), "ticker": np.tile(np.array(panel.tickers), n_sessions)}
    columns |= {name: values.ravel() for name, values in panel.fields.items()}
    pq.write_table(pa.table(columns), folder / "prices.parquet")
    pq.write_table(pa.table({"date": panel.sessions, "close": panel.benchmark}), folder / "benchmark.parquet")
    sectors = "\n".join(f"{ticker},{sector}" for ticker, sector in zip(panel.tickers, panel.sectors, strict=True))
    (folder / "sectors.csv").write_text(f"ticker,sector\n{sectors}\n")
    return {
        "source": "parquet",
        "prices": str(folder / "prices.parquet"),
        "benchmark": str(folder / "benchmark.parquet"),
        "sectors": str(folder / "sectors.csv"),
    }
