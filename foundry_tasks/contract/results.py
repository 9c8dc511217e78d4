"""What a stage leaves when it has ended: its result, and its line in the run's log."""

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
    """`result.json`: written last and atomically."""

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
    """Free of time, run and runtime: equal work has an equal digest."""
    metrics: dict[str, JsonValue]
    """Headline figures, small; `result.json` is what Airflow's XCom points at."""
    warnings: list[str]
    config: dict[str, JsonValue]
    config_digest: str
    code_version: str
    image_digest: str
    seed: int | None
    elapsed_s: dict[str, float]
    """Seconds per step; `start` is start-up and whatever was imported later, `total` all up to publication."""
    reused_from: str | None = None
    """The run whose result this is, where a pure stage found its work done."""

    @property
    def start_s(self) -> float:
        """Seconds of start-up and imports."""
        return self.elapsed_s.get("start", 0.0)

    @property
    def total_s(self) -> float:
        """Seconds up to publication."""
        return self.elapsed_s.get("total", 0.0)


class RunLogLine(BaseModel):
    """A line of a run's log, as far as reports read it; `runner` writes it for every stage that has ended."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str
    timestamp: str = ""
    """ISO time at which the stage ended."""
    warnings: tuple[str, ...] = ()
    """Of a stage that published nothing: why."""


def read_run_log(store: Store, prefix: str) -> tuple[RunLogLine, ...]:
    """The log of the run whose artifacts lie below `prefix`, the newest line last; empty where there is none."""
    lines = (store.read(f"{prefix}/{artifacts.RUN_LOG}") or b"").splitlines()
    return tuple(map(RunLogLine.model_validate_json, lines))
