"""`foundry run`: a pipeline's stages one after another, each in a process of its own, as Airflow would start them."""

import subprocess
import sys
from collections.abc import Sequence

from foundry_tasks.contract.errors import FoundryError, NothingToDo
from foundry_tasks.contract.ports import Watcher
from foundry_tasks.contract.stages import PIPELINES

ALWAYS = "report"
"""The stage that runs even after a skip."""


def stage_command(stage: str, identity: Sequence[str]) -> list[str]:
    """The command line that runs a stage in this environment."""
    return [sys.executable, "-m", "foundry_tasks", stage, *identity]


def run_pipeline(dag: str, identity: Sequence[str], watcher: Watcher) -> None:
    """Run the stages of `dag` in order. After a skip only the report runs.

    Raises StageFailedError with the stage's exit code at the first stage that failed.
    """
    skipping = False
    for stage in PIPELINES[dag]:
        if skipping and stage != ALWAYS:
            continue
        watcher.started(stage)
        code = _run(stage_command(stage, identity), watcher)
        watcher.ended(code)
        if code == NothingToDo.exit_code:
            skipping = True
        elif code != 0:
            raise StageFailedError(stage, code)


def _run(command: Sequence[str], watcher: Watcher) -> int:
    with subprocess.Popen(  # noqa: S603 - our own program, arguments as a list
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            watcher.printed(line.rstrip())
    return process.returncode


class StageFailedError(FoundryError):
    """A stage of a pipeline failed. It has printed the reason already."""

    def __init__(self, stage: str, code: int) -> None:
        super().__init__(f"stage {stage} failed with exit code {code}; the line above says why.")
        self.code = code
