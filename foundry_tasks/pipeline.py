"""`foundry run`: a pipeline's stages one after another, each in a process of its own, as Airflow would start them."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foundry_tasks.contract.errors import FoundryError, NothingToDo
from foundry_tasks.contract.stages import PIPELINES

ALWAYS = "report"
"""The stage that runs although others were skipped."""


@dataclass(frozen=True, slots=True)
class StageRun:
    """How a stage's process ended."""

    stage: str
    exit_code: int
    seconds: float


def stage_command(stage: str, identity: Sequence[str]) -> list[str]:
    """The command line that runs a stage in this environment."""
    return [sys.executable, "-m", "foundry_tasks", stage, *identity]


def run_pipeline(dag: str, identity: Sequence[str]) -> Iterator[StageRun]:
    """Run the stages of `dag` in order and say how each ended; after a skip only the report still runs.

    Raises StageFailedError with the stage's exit code at the first stage that failed.
    """
    skipping = False
    for stage in PIPELINES[dag]:
        if skipping and stage != ALWAYS:
            continue
        started = time.perf_counter()
        code = subprocess.run(stage_command(stage, identity), check=False, stdin=subprocess.DEVNULL).returncode  # noqa: S603
        yield StageRun(stage, code, time.perf_counter() - started)
        if code == NothingToDo.exit_code:
            skipping = True
        elif code != 0:
            raise StageFailedError(stage, code)


class StageFailedError(FoundryError):
    """A stage of a pipeline failed; it has already said why."""

    def __init__(self, stage: str, code: int) -> None:
        super().__init__(f"stage {stage} failed with exit code {code}; what it printed above says why.")
        self.code = code
