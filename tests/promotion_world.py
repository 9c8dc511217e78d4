"""A store, a registry and runs ready for promotion. As a program it runs one promote in a process."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from foundry_tasks.adapters.registry_mlflow import MlflowRegistry
from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import digest_of, result_key
from foundry_tasks.contract.config import GatePolicy, PromoteConfig
from foundry_tasks.contract.documents import Diagnostics, Document, Gate, Gates, HorizonGates, Interval, Refit, Refits
from foundry_tasks.contract.documents.gates import (
    Efficiencies,
    Efficiency,
    FiellerBounds,
    GateVerdict,
    Information,
    ModelVerdict,
    NullSummary,
)
from foundry_tasks.contract.errors import FoundryError
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.policy import built_in, policy_digest
from foundry_tasks.contract.ports import Store
from foundry_tasks.contract.results import StageResult
from foundry_tasks.contract.stage_io import Code, Environment, StageIO
from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.data.tables import write_features
from foundry_tasks.ledger import decisions as governance
from foundry_tasks.ledger.chain import EvidenceLog, Ledger
from foundry_tasks.ledger.evidence import EvidenceState, Look, LookFacts, Sample, look_record
from foundry_tasks.stages import promote

DAG, MODEL, AS_OF = "foundry_train", "foundry-us-5d", date(2022, 12, 28)
REPOSITORY = Path(__file__).resolve().parents[1]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
_UNUSED: Any = None
"""Stands in for ports that promote does not use."""


UNKNOWN = Interval(value=None)
NO_EFFICIENCY = Efficiency(
    value=None, fieller=FiellerBounds(kind="undefined", lower=None, upper=None), consistency=None
)
DIAGNOSTICS = Diagnostics(
    auc_median=UNKNOWN, rank_ic=UNKNOWN, information=Information(mean=None, icir=None, t=None, lag=0), hit_rate_up=UNKNOWN,
    brier=UNKNOWN, brier_base_rate=UNKNOWN, brier_skill=None, log_loss=UNKNOWN, base_rate=None, entries={}, folds=(),
    efficiency=Efficiencies(relative=NO_EFFICIENCY, over_base_rate=NO_EFFICIENCY, rank_ic=NO_EFFICIENCY),
    overfitting_ratio=None, expected=(), sessions=0,
)  # fmt: skip
NULL = NullSummary(min_shift_sessions=0, shifts=0, blocks=0, figures={})


class World:
    """A store, a registry and runs that have the results of all stages before promote."""

    def __init__(self, folder: Path, uri: str = "") -> None:
        self.folder = folder
        self.uri = uri or f"sqlite:///{folder}/mlflow.db"
        self.store = LocalStore(folder / "store")
        self.registry = MlflowRegistry(self.uri, str(folder / "mlartifacts"))
        self.ledger = Ledger(self.store)

    def io(self, run_id: str, stage: str = "promote", store: Store | None = None) -> StageIO:
        workspace = self.folder / "work" / run_id / stage
        workspace.mkdir(parents=True, exist_ok=True)
        environment = Environment(
            store=store or self.store,
            expectations=_UNUSED,
            registry=MlflowRegistry(self.uri, str(self.folder / "mlartifacts")),
            code=Code("0.1.0+test"),
            now=lambda: NOON,
        )
        return StageIO.of(Identity(DAG, run_id, stage, None, AS_OF), environment, workspace, progress=_UNUSED)

    def publish(self, run_id: str, stage: str, files: Mapping[str, bytes], *documents: Document) -> None:
        """Publish the result of a stage before promote."""
        io = self.io(run_id, stage)
        for document in documents:
            io.publish(document)
        for name, content in files.items():
            io.publish_file(name, content)
        result = StageResult(
            dag=DAG, run_id=run_id, stage=stage, shard=None, as_of=AS_OF, status="ok", inputs={}, outputs=io.outputs.artifacts,
            outputs_digest=stage.ljust(64, "0"), metrics={}, warnings=[], config={}, config_digest="", code_version="",
            image_digest="", seed=None, elapsed_s={},
        )  # fmt: skip
        self.store.write(result_key(DAG, run_id, stage, None), result.model_dump_json().encode())

    def prepare(
        self,
        run_id: str,
        verdict: ModelVerdict = "passed",
        *,
        champion: int | None = None,
        accepted: bool = True,
        horizons: tuple[int, ...] = (5,),
        validate_only: bool = False,
    ) -> None:
        """Publish all results before promote. Each run has its own bundle."""
        answers: dict[ModelVerdict, GateVerdict] = {"challenger": "near miss", "refused": "failed"}
        answer = answers.get(verdict, "passed")
        auc = Gate(name="auc", question="", value=0.53, lower=0.51, upper=0.55, threshold="≥ 0.52", verdict=answer)
        kind: Literal["refit", "last_fold"] = "refit" if verdict in {"passed", "challenger"} else "last_fold"
        reason = "" if accepted else "rank correlation 0.31 below 0.80"
        judged = {
            h: HorizonGates(
                horizon=h, verdict=verdict, gates=(auc,), null=NULL, diagnostics=DIAGNOSTICS, champion_version=champion,
                forecast=digest_of([run_id, h]),
            )
            for h in horizons
        }  # fmt: skip
        self.look(run_id, {h: one.forecast for h, one in judged.items()})
        refits = {h: Refit(horizon=h, kind=kind, accepted=accepted, reason=reason) for h in horizons}
        panel = FeaturePanel(
            np.array([AS_OF], "datetime64[D]"), ("AAPL", "MSFT"), ("ret_1d", "vol_20d"), np.ones((2, 1, 2), np.float32)
        )
        features = self.folder / "features.parquet"
        write_features(features, [panel])
        self.publish(run_id, "prices", {})
        self.publish(run_id, "features", {"features.parquet": features.read_bytes()})
        self.publish(run_id, "labels", {})
        gates = Gates(
            validate_only=validate_only, policy=GatePolicy(), policy_digest=policy_digest(built_in()), horizons=judged
        )
        self.publish(run_id, "gates", {}, gates)
        bundles = {f"bundle/{h}d.zip": f"{run_id}/{h}".encode() for h in horizons}
        self.publish(run_id, "refit", bundles, Refits(horizons=refits))

    def look(self, run_id: str, forecasts: Mapping[int, str]) -> None:
        """Append the look of a run at data of its own, later than those of the looks before."""
        rows = Sample(hashes=(digest_of(run_id),), size=1)

        def decide(state: EvidenceState) -> Look | None:
            facts = LookFacts(
                market="us", run=f"{DAG}/{run_id}", when=NOON, forecasts=forecasts, rows=rows, tickers=rows,
                sessions=(AS_OF + timedelta(days=len(state.looks)),), recipe=digest_of("recipe"),
                policy=policy_digest(built_in()), window=20,
            )  # fmt: skip
            return look_record(facts, state)

        EvidenceLog(self.store).append(self.registry, decide)

    def refit(self, run_id: str) -> Refit:
        """The entry of refit.json for the only horizon."""
        return self.io(run_id).read(Refits).horizons[5]

    def promote(self, run_id: str, **arguments: Any) -> dict[str, Any]:
        """Run promote. Returns promotion.json of one horizon, and the warnings."""
        self.prepare(run_id, **arguments)
        return self.repeat(run_id)

    def repeat(self, run_id: str) -> dict[str, Any]:
        io = self.io(run_id)
        promote.run(PromoteConfig(), io)
        document = self.store.object_path(io.outputs.artifacts["promotion.json"].sha256).read_bytes()
        return {**json.loads(document)["horizons"]["5"], "warnings": io.outputs.warnings}

    def promote_in_a_process(self, run_id: str, die: str = "never") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.promotion_world", str(self.folder), self.uri, run_id, die]
        return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def alias(self, name: str = "champion") -> int | None:
        found = self.registry.alias(MODEL, name)
        return found.version if found else None

    def versions(self) -> list[int]:
        return [version.version for version in self.registry.versions(MODEL)]

    def events(self) -> list[tuple[str, int]]:
        return [(record.event, record.version) for record in self.ledger.state(MODEL).records]

    def assert_whole(self, champion: int | None) -> None:
        assert governance.verify(self.store, self.registry) == []
        assert self.alias() == self.ledger.state(MODEL).champion == champion


# ------------------------------------------------------------------ a promote as a process
class DyingStore(LocalStore):
    """A store that kills the process directly after it has appended a record."""

    def __init__(self, root: Path, die: str) -> None:
        super().__init__(root)
        self.die = die

    def create(self, key: str, data: bytes) -> bool:
        done = super().create(key, data)
        if key.startswith("ledger/") and json.loads(data)["event"] == self.die:
            kill()
        return done


def kill(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), 9)


def one_promote(folder: str, uri: str, run_id: str, die: str) -> int:
    world = World(Path(folder), uri)
    io = world.io(run_id, store=DyingStore(world.store.root, die))
    client = cast("MlflowRegistry", io.environment.registry)._client
    places = {"uploading": "log_model_artifacts", "aliasing": "set_registered_model_alias"}
    if die in places:
        setattr(client, places[die], kill)
    if die == "registering":
        made = client.create_model_version

        def die_afterwards(*arguments: Any, **named: Any) -> None:
            made(*arguments, **named)
            kill()

        client.create_model_version = die_afterwards
    try:
        promote.run(PromoteConfig(), io)
    except FoundryError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    headline = io.outputs.metrics["5d"]
    assert isinstance(headline, dict)
    print(headline["event"])  # noqa: T201 - that is what this process is for
    return 0


if __name__ == "__main__":
    raise SystemExit(one_promote(*sys.argv[1:]))
