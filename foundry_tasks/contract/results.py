"""A stage's result, and its line in the run log."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.ports import Store


class Artifact(BaseModel):
    """A file that a stage published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size_bytes: int


class StageResult(BaseModel):
    """`result.json`: written atomically, after all artifacts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dag: str
    run_id: str
    stage: str
    shard: str | None
    as_of: date
    status: Literal["ok", "warn"]
    inputs: dict[str, str]
    """Upstream stage (and shard) → its outputs digest."""
    outputs: dict[str, Artifact]
    outputs_digest: str
    """Independent of time, run and runtime: equal outputs have an equal digest."""
    metrics: dict[str, JsonValue]
    """A few headline figures. Airflow's XCom points at `result.json`."""
    warnings: list[str]
    config: dict[str, JsonValue]
    config_digest: str
    code_version: str
    image_digest: str
    seed: int | None
    elapsed_s: dict[str, float]
    """Seconds per step. `start`: start-up and all later imports; `total`: everything up to publication."""
    reused_from: str | None = None
    """The run whose result a pure stage reused; None where this run computed it."""

    @property
    def start_s(self) -> float:
        """Seconds of start-up and imports."""
        return self.elapsed_s.get("start", 0.0)

    @property
    def total_s(self) -> float:
        """Seconds up to publication."""
        return self.elapsed_s.get("total", 0.0)


class RunLogLine(BaseModel):
    """A line of the run log, with the fields that reports read. `runner` writes one for every stage that has ended."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str
    timestamp: str = ""
    """ISO time at which the stage ended."""
    warnings: tuple[str, ...] = ()
    """Warnings; for a stage without a result, the reason."""


def read_run_log(store: Store, prefix: str) -> tuple[RunLogLine, ...]:
    """Lines of the run log below `prefix`, the newest last; empty where there is no log."""
    lines = (store.read(f"{prefix}/{artifacts.RUN_LOG}") or b"").splitlines()
    return tuple(map(RunLogLine.model_validate_json, lines))
