"""A daily run on the scale set, compared with the same stages on all sessions."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.own_process import environment_in
from benchmarks.row import Row, taking_turns
from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract import artifacts
from foundry_tasks.contract.results import StageResult
from foundry_tasks.data.panel import FeaturePanel, FloatArray
from foundry_tasks.data.tables import read_features, read_table

STAGES = ("prices", "features", "predict", "report")
EVERY_SESSION = "every_session"
"""Foundry does not know this DAG, so its stages load all sessions."""
TRAINED_UNTIL = "2024-02-29"
DAYS = ("2024-03-06", "2024-03-07", "2024-03-08")
SMALL = {"models": ["logistic", "lightgbm"], "seeds": 1, "folds": 2, "test_sessions": 60, "warmup_blocks": 1,
         "audit_dates": 1}  # fmt: skip
"""A recipe that trains in minutes. The cost of a day does not depend on the model's quality."""


def rows(market_data: Path, peers: Path, *, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - no peers
    """Train once, then run every day both ways. Asserts equal predictions before it yields a row."""
    if quick:
        return
    with tempfile.TemporaryDirectory() as temporary:
        desk = Desk(Path(temporary), market_data)
        desk.run("foundry_train", "train", SMALL | {"start": "2021-06-01", "end": TRAINED_UNTIL})
        days = {dag: iter(DAYS) for dag in ("foundry_daily", EVERY_SESSION)}
        turns = taking_turns(
            lambda: desk.seconds("foundry_daily", next(days["foundry_daily"])),
            lambda: desk.seconds(EVERY_SESSION, next(days[EVERY_SESSION])),
            pairs=len(DAYS) - 1,
        )
        print(f"largest difference: {desk.difference(DAYS[-1])}")
    name = f"a day, {' + '.join(STAGES)}, scale set"
    yield Row.of(turns, name, "the same stages on every session", most=10)


class Desk:
    """A new store, and Foundry's commands on it."""

    def __init__(self, folder: Path, market_data: Path) -> None:
        files = {
            "prices": "sp500_2000_2024.parquet",
            "sectors": "sectors_sp500_2000_2024.csv",
            "benchmark": "spy_1993_2024.parquet",
            "vix": "vix_1990_2024.parquet",
            "universe": "sp500_membership_start_end.csv",
        }
        paths = {key: str((market_data / name).resolve()) for key, name in files.items()}
        self.conf: dict[str, Any] = {**paths, "source": "parquet", "horizons": [1]}
        self.store = LocalStore(folder / "store")
        self.environment = environment_in(folder)

    def run(self, dag: str, run_id: str, conf: Mapping[str, Any]) -> None:
        self._foundry("run", dag.removeprefix("foundry_"), "--run-id", run_id, conf=conf)

    def seconds(self, dag: str, day: str) -> float:
        """Seconds that the stages report, including start-up."""
        for stage in STAGES:
            self._foundry(stage, "--dag", dag, "--run-id", day, conf={"end": day})
        elapsed = {stage: self._result(dag, day, stage).elapsed_s["total"] for stage in STAGES}
        print(f"{dag} {day}: " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in elapsed.items()))
        return sum(elapsed.values())

    def difference(self, day: str) -> dict[str, float]:
        """Largest difference of P(up), and of any feature divided by max(1, |value|). Raises AssertionError above 1e-6."""
        recent, whole = (self._features(dag, day) for dag in ("foundry_daily", EVERY_SESSION))
        whole = whole.last(len(recent.sessions))
        across = [whole.tickers.index(ticker) for ticker in recent.tickers]
        pairs = (
            (recent.values, whole.values[:, :, across]),
            (self._p_up("foundry_daily", day), self._p_up(EVERY_SESSION, day)),
        )
        found = []
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
            found.append(float(np.nanmax(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs)))))
        return dict(zip(("features", "P(up)"), found, strict=True))

    def _foundry(self, *command: str, conf: Mapping[str, Any]) -> None:
        config = json.dumps({**self.conf, **conf})
        subprocess.run(  # noqa: S603 - our program
            [sys.executable, "-m", "foundry_tasks", *command, "--config", config],
            check=True, env=self.environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def _result(self, dag: str, day: str, stage: str) -> StageResult:
        return StageResult.model_validate_json(self.store.read(artifacts.result_key(dag, day, stage, None)) or b"")

    def _path(self, dag: str, day: str, stage: str, name: str) -> Path:
        return self.store.object_path(self._result(dag, day, stage).outputs[name].sha256)

    def _features(self, dag: str, day: str) -> FeaturePanel:
        return read_features(self._path(dag, day, "features", "features.parquet"))

    def _p_up(self, dag: str, day: str) -> FloatArray:
        table = read_table(self._path(dag, day, "predict", "predictions.parquet"))
        p_up: FloatArray = table["p_up"][np.argsort(table["ticker"].astype(str))]
        return p_up
