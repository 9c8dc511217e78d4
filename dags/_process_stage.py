"""A stage as a process on this machine."""

import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from typing import IO, Any, ClassVar, cast

from _stage_task import (
    GRACE_S,
    process_environment,
    published,
    raise_for_exit,
    say,
    stage_command,
    task_arguments,
)
from airflow.sdk import BaseOperator, Context

from foundry_tasks.contract.ports import Watcher


class ProcessStage(BaseOperator):
    """XCom: the result's address, its digest and its metrics."""

    template_fields = ("shard",)
    ui_color = "#d9e8f5"
    watcher: ClassVar[Watcher | None] = None
    """Receives start, lines and end of each stage. Set by `_laptop`, which runs a DAG in one process."""
    at_work: "ClassVar[ProcessStage | None]" = None
    """The operator whose stage is running; `_laptop` stops it on Ctrl-C."""

    def __init__(self, *, stage: str, shard: str | None = None, **arguments: Any) -> None:
        super().__init__(**task_arguments(stage) | arguments)
        self.stage = stage
        self.shard = shard
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        command = stage_command(self.stage, self.shard, context)
        self.log.info("by hand: %s", shlex.join(command))
        ProcessStage.at_work = self
        try:
            code, last = self._run(command)
        finally:
            ProcessStage.at_work = None
            self.on_kill()
        raise_for_exit(code, last)
        return published(self.stage, self.shard, context)

    def _run(self, command: list[str]) -> tuple[int, str]:
        """Exit code and last line."""
        watcher = self.watcher
        if watcher is not None:
            watcher.started(" ".join(filter(None, (self.stage, self.shard))))
        self._process = subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-m", "foundry_tasks", *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=process_environment(),
            start_new_session=True,
        )
        last = ""
        with cast("IO[str]", self._process.stdout) as lines:
            for line in lines:
                last = line.rstrip()
                say(self.log, last)
                if watcher is not None:
                    watcher.printed(last)
        code = self._process.wait()
        if watcher is not None:
            watcher.ended(code)
        return code, last

    def on_kill(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        with suppress(ProcessLookupError):  # has already ended
            os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
            os.killpg(self._process.pid, signal.SIGKILL)  # remaining processes of the group
