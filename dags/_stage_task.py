"""The part of a stage's task that all runtimes share: command, environment, labels, log level, exit code."""

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from _champions import CHAMPIONS, announce
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.environment_variables import PREFIX, Settings
from foundry_tasks.contract.errors import ConfigError, NothingToDo, TransientError
from foundry_tasks.contract.identity import last_completed_session
from foundry_tasks.contract.market import with_market
from foundry_tasks.contract.stages import STAGES, Image, image_of_task

KILLED = {-9, 128 + 9}
"""Exit codes after signal 9: the kernel was out of memory, or a person killed the stage."""
GRACE_S = 30
"""Seconds between SIGTERM and SIGKILL."""
UID = 10001
"""User and group of the images."""
FILES_AT = "/run/foundry"
"""Mount point of secrets and market files, in stages and in Airflow's containers."""
WHOLE = "whole"
"""Value of the label `foundry.shard` without shards. Kubernetes does not accept `-` as a label value."""
_FROM_HERE = ("store", "s3_endpoint", "secrets", "mlflow_uri", "markets")
"""Settings that are passed on to a stage's container. The others belong to the image or to Airflow."""
_BUILT_BY: dict[Image, str] = {
    "cpu": "build the images with `make images`, which writes their IDs",
    "cuda": "deep models run in it, so build it with `make image-cuda`, then `make up`",
}


def task_arguments(stage: str) -> dict[str, Any]:
    """The operator's arguments that are equal in every runtime."""
    spec = STAGES[stage]
    moves = {"outlets": [CHAMPIONS], "post_execute": announce} if spec.moves_champion else {}
    return moves | {
        "task_id": stage,
        "retries": spec.retries,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(seconds=spec.timeout_s),
        "trigger_rule": "none_failed" if stage == "report" else "all_success",
    }


def stage_command(stage: str, shard: str | None, context: Context) -> list[str]:
    """The command `foundry <stage> …`. It depends on the run and its conf only, so each try has the same command."""
    run = context["dag_run"]
    as_of = last_completed_session(context.get("data_interval_end") or run.run_after)
    return [
        "foundry", stage, "--dag", run.dag_id, "--run-id", run.run_id, *(["--shard", shard] if shard else []),
        "--as-of", as_of.isoformat(), "--config", json.dumps(conf_of(context), sort_keys=True),
    ]  # fmt: skip


def conf_of(context: Context) -> dict[str, Any]:
    """The conf of the run: the non-empty fields of its form."""
    return filled_in(dict(context["params"]))


def filled_in(params: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a form without the empty ones and without empty lines of lists."""
    return {
        key: [item for item in value if item != ""] if isinstance(value, list) else value
        for key, value in params.items()
        if value is not None
    }


def process_environment() -> dict[str, str]:
    """This process's environment, without the variables that disable bytecode or change Python's warnings."""
    return {key: value for key, value in os.environ.items() if key not in {"PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS"}}


def container_environment(settings: Settings, image: str) -> dict[str, str]:
    """Environment of a stage's container: addresses, no secrets. Secrets are files in a volume."""
    variables = {PREFIX + name.upper(): str(getattr(settings, name)) for name in _FROM_HERE if getattr(settings, name)}
    return variables | {f"{PREFIX}IMAGE_DIGEST": image, f"{PREFIX}RUNTIME": settings.runtime}


def image_kind(stage: str, shard: str | None, context: Context, settings: Settings) -> Image:
    """The image that a task needs. Raises AirflowFailException if the conf is invalid."""
    if not STAGES[stage].fits_models:
        return "cpu"
    try:
        return image_of_task(stage, shard, with_market(conf_of(context), settings.markets))
    except ConfigError as error:
        raise AirflowFailException(str(error)) from error


def image_of(kind: Image, settings: Settings) -> str:
    """The image's ID of a kind. Raises AirflowFailException if its setting is empty."""
    image: str = getattr(settings, f"image_{kind}")
    if not image:
        raise AirflowFailException(f"{PREFIX}IMAGE_{kind.upper()} is not set: {_BUILT_BY[kind]}.")
    return image


def container_labels(stage: str, shard: str | None, context: Context) -> dict[str, str]:
    """Labels that identify a task's container. They are equal for all tries, so a retry finds the earlier container."""
    run = context["dag_run"]
    return {
        "foundry.managed": "true",
        "foundry.dag": run.dag_id,
        "foundry.run": artifacts.run_key(run.run_id),
        "foundry.stage": stage,
        "foundry.shard": artifacts.sha256_of(shard.encode())[:12] if shard else WHOLE,
    }


def say(log: Any, line: str) -> None:
    """Write a stage's line to the task's log, at the level that the line's prefix tells."""
    if line.startswith(("foundry: ", "Traceback")):
        log.error(line)
    elif line.startswith("warning: "):
        log.warning(line)
    else:
        log.info(line)


def raise_for_exit(code: int, last_line: str) -> None:
    """Raise Airflow's exception for an exit code: skip, retry, or fail without retry."""
    if code == 0:
        return
    if code == NothingToDo.exit_code:
        raise AirflowSkipException(last_line)
    if code == TransientError.exit_code or code in KILLED:
        raise AirflowException(f"exit {code}, will be tried again: {last_line}")
    raise AirflowFailException(f"exit {code}: {last_line}")


def out_of_memory(stage: str) -> str:
    """The message that replaces the last log line of a container that exceeded its memory limit."""
    return f"out of memory: more than the {STAGES[stage].memory_mb} MB that {stage} is given"


def published(stage: str, shard: str | None, context: Context) -> dict[str, Any]:
    """The result's address, outputs digest and metrics, read from the store.

    Raises AirflowFailException if there is no result.
    """
    from foundry_tasks.adapters.stores import open_store  # noqa: PLC0415 - DAG files are parsed without a store

    run = context["dag_run"]
    store = open_store(Settings.from_environment())
    key = artifacts.result_key(run.dag_id, run.run_id, stage, shard)
    document = store.read(key)
    if document is None:
        raise AirflowFailException(f"the stage ended well but published no {store.locate(key)}")
    result = json.loads(document)
    return {"result": store.locate(key), "digest": result["outputs_digest"], "metrics": result["metrics"]}
