"""stage(): a StageSpec as an Airflow task. The only file that names an operator class."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.errors import NothingToDo, TransientError
from foundry_tasks.contract.settings import Settings
from foundry_tasks.contract.stage_io import last_completed_session
from foundry_tasks.contract.stages import PIPELINES, STAGES, StageSpec, conf_fields, inputs_in

KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""What a stage ends with when the machine ran out of memory, or an operator out of patience."""
GRACE_S = 30


class ProcessStage(BaseOperator):
    """A stage as a process of this machine. Its XCom is the result's address and its few headline figures."""

    ui_color = "#d9e8f5"

    def __init__(self, *, spec: StageSpec, **arguments: Any) -> None:
        super().__init__(task_id=spec.name, **arguments)
        self.spec = spec
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        command = stage_command(self.spec.name, context)
        self.log.info(
            "by hand: %s", " ".join(json.dumps(part) if " " in part or "{" in part else part for part in command)
        )
        self._process = subprocess.Popen(  # noqa: S603 - our own program, arguments as a list
            [sys.executable, "-m", "foundry_tasks", *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=stage_environment(),
            start_new_session=True,
        )
        last = ""
        with self._process.stdout as lines:
            for line in lines:
                last = line.rstrip()
                self.log.info(last)
        raise_for_exit(self._process.wait(), last)
        return published(self.spec.name, context)

    def on_kill(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        with suppress(ProcessLookupError):  # gone by itself
            os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
            os.killpg(self._process.pid, signal.SIGKILL)  # whoever is left of the group


def stage(name: str) -> BaseOperator:
    """The task of a stage, in the runtime that FOUNDRY_RUNTIME names."""
    spec = STAGES[name]
    runtime = Settings.from_environment().runtime
    if runtime != "process":
        raise NotImplementedError(f"FOUNDRY_RUNTIME={runtime}: stages run in `process` so far.")
    return ProcessStage(
        spec=spec,
        retries=spec.retries,
        retry_exponential_backoff=2.0,
        execution_timeout=timedelta(seconds=spec.timeout_s),
        trigger_rule="none_failed" if name == "report" else "all_success",
    )


def wire(dag: str) -> dict[str, BaseOperator]:
    """Every stage of a pipeline as a task, each after the stages whose results it reads."""
    tasks = {name: stage(name) for name in PIPELINES[dag]}
    for name, task in tasks.items():
        task.set_upstream([tasks[upstream] for upstream in inputs_in(dag, name)])
    return tasks


def trigger_form(dag: str) -> dict[str, Param]:
    """One optional field a key of the conf; what is left empty takes the market's default, then the built-in one."""
    form = {}
    for name, field in conf_fields(PIPELINES[dag]).items():
        default = json.dumps(field.get_default(call_default_factory=True), default=str)
        form[name] = Param(None, description=f"default: {default}", type=["null", *json_types(field.annotation)])
    return form


def json_types(annotation: Any) -> list[str]:
    """JSON types that a form field of this annotation takes."""
    text = str(annotation)
    known = {"tuple": "array", "bool": "boolean", "int": "integer", "float": "number", "str": "string"}
    found = [json_type for python, json_type in known.items() if python in text]
    return found[:1] or ["string"]


# ---------------------------------------------------------------- what every runtime shares
def stage_command(name: str, context: Context) -> list[str]:
    """`foundry <stage> …` for this run: everything follows from its identity."""
    run = context["dag_run"]
    conf = {key: value for key, value in dict(context["params"]).items() if value is not None}
    as_of = last_completed_session(context.get("data_interval_end") or run.run_after)
    return [
        "foundry", name, "--dag", run.dag_id, "--run-id", run.run_id,
        "--as-of", as_of.isoformat(), "--config", json.dumps(conf, sort_keys=True),
    ]  # fmt: skip


def stage_environment() -> dict[str, str]:
    """What a stage's process inherits: the machine's environment, compiled bytecode allowed and its warnings heard."""
    return {key: value for key, value in os.environ.items() if key not in {"PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS"}}


def raise_for_exit(code: int, last_line: str) -> None:
    """An exit code as what it means to Airflow: skip, retry, or fail at once."""
    if code == 0:
        return
    if code == NothingToDo.exit_code:
        raise AirflowSkipException(last_line)
    if code == TransientError.exit_code or code in KILLED:
        raise AirflowException(f"exit {code}, will be tried again: {last_line}")
    raise AirflowFailException(f"exit {code}: {last_line}")


def published(name: str, context: Context) -> dict[str, Any]:
    """The result's address and its headline figures, read from the store."""
    from foundry_tasks.adapters.store_local import LocalStore  # noqa: PLC0415 - a DAG file parses without a store

    run = context["dag_run"]
    store = LocalStore(Settings.from_environment().store)
    key = artifacts.result_key(run.dag_id, run.run_id, name, None)
    document = store.read(key)
    if document is None:
        raise AirflowFailException(f"the stage ended well but published no {store.locate(key)}")
    return {"result": store.locate(key), "metrics": json.loads(document)["metrics"]}
