"""What a stage is to Airflow in every runtime: its command, its environment, its log, and what its end means."""

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from _champions import CHAMPIONS, announce
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.errors import ConfigError, NothingToDo, TransientError
from foundry_tasks.contract.identity import last_completed_session
from foundry_tasks.contract.market import with_market
from foundry_tasks.contract.settings import PREFIX, Settings
from foundry_tasks.contract.stages import STAGES, Image, image_of_task

KILLED = {-9, 128 + 9}
"""What a stage ends with when the machine ran out of memory, or somebody out of patience."""
GRACE_S = 30
"""From asking a stage to stop to making it stop."""
UID = 10001
"""The images' user, and its group."""
FILES_AT = "/run/foundry"
"""Where secrets and market files are mounted, in stages and in Airflow's own containers."""
WHOLE = "whole"
"""What the label `foundry.shard` says of a stage without shards; Kubernetes takes no label that is a lone dash."""
_FROM_HERE = ("store", "s3_endpoint", "secrets", "mlflow_uri", "markets")
"""Settings that a container is given as they are here; the others are the image's own or Airflow's business."""
_BUILT_BY: dict[Image, str] = {
    "cpu": "build the images with `make images`, which writes their IDs",
    "cuda": "deep models run in it, so build it with `make image-cuda`, then `make up`",
}


def task_arguments(stage: str) -> dict[str, Any]:
    """What Airflow has to know of a stage, whatever it runs in."""
    spec = STAGES[stage]
    moves = {"outlets": [CHAMPIONS], "post_execute": announce} if spec.writes_registry else {}
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
    """`foundry <stage> …` for this run: everything follows from its identity."""
    run = context["dag_run"]
    as_of = last_completed_session(context.get("data_interval_end") or run.run_after)
    return [
        "foundry", stage, "--dag", run.dag_id, "--run-id", run.run_id, *(["--shard", shard] if shard else []),
        "--as-of", as_of.isoformat(), "--config", json.dumps(conf_of(context), sort_keys=True),
    ]  # fmt: skip


def conf_of(context: Context) -> dict[str, Any]:
    """What the run's form says."""
    return filled_in(dict(context["params"]))


def filled_in(params: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a form that hold something. A field that was left empty says nothing, nor does an empty line of a list."""
    return {
        key: [item for item in value if item != ""] if isinstance(value, list) else value
        for key, value in params.items()
        if value is not None
    }


def process_environment() -> dict[str, str]:
    """What a stage's process inherits: the machine's environment, compiled bytecode allowed and its warnings heard."""
    return {key: value for key, value in os.environ.items() if key not in {"PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS"}}


def container_environment(settings: Settings, image: str) -> dict[str, str]:
    """What a stage's container is told: where things are, and no secret; those are files in a volume."""
    variables = {PREFIX + name.upper(): str(getattr(settings, name)) for name in _FROM_HERE if getattr(settings, name)}
    return variables | {f"{PREFIX}IMAGE_DIGEST": image, f"{PREFIX}RUNTIME": settings.runtime}


def image_kind(stage: str, shard: str | None, context: Context, settings: Settings) -> Image:
    """Which of the images a task runs in. Raises AirflowFailException for a conf that no stage would take."""
    if not STAGES[stage].fits_models:
        return "cpu"
    try:
        return image_of_task(stage, shard, with_market(conf_of(context), settings.markets))
    except ConfigError as error:
        raise AirflowFailException(str(error)) from error


def image_of(kind: Image, settings: Settings) -> str:
    """The image of a kind. Raises AirflowFailException where no setting names it."""
    image: str = getattr(settings, f"image_{kind}")
    if not image:
        raise AirflowFailException(f"{PREFIX}IMAGE_{kind.upper()} is not set: {_BUILT_BY[kind]}.")
    return image


def container_labels(stage: str, shard: str | None, context: Context) -> dict[str, str]:
    """Which container this is: equal for every try of a task, so that a retry finds what an earlier one started."""
    run = context["dag_run"]
    return {
        "foundry.managed": "true",
        "foundry.dag": run.dag_id,
        "foundry.run": artifacts.run_key(run.run_id),
        "foundry.stage": stage,
        "foundry.shard": artifacts.sha256_of(shard.encode())[:12] if shard else WHOLE,
    }


def say(log: Any, line: str) -> None:
    """A line of a stage in Airflow's log, at the level that the stage meant."""
    if line.startswith(("foundry: ", "Traceback")):
        log.error(line)
    elif line.startswith("warning: "):
        log.warning(line)
    else:
        log.info(line)


def raise_for_exit(code: int, last_line: str) -> None:
    """An exit code as what it means to Airflow: skip, retry, or fail at once."""
    if code == 0:
        return
    if code == NothingToDo.exit_code:
        raise AirflowSkipException(last_line)
    if code == TransientError.exit_code or code in KILLED:
        raise AirflowException(f"exit {code}, will be tried again: {last_line}")
    raise AirflowFailException(f"exit {code}: {last_line}")


def out_of_memory(stage: str) -> str:
    """What is said in the place of a last line, where a container was killed for its memory."""
    return f"out of memory: more than the {STAGES[stage].memory_mb} MB that {stage} is given"


def published(stage: str, shard: str | None, context: Context) -> dict[str, Any]:
    """The result's address, its outputs digest and its headline figures, read from the store."""
    from foundry_tasks.adapters.stores import open_store  # noqa: PLC0415 - a DAG file parses without a store

    run = context["dag_run"]
    store = open_store(Settings.from_environment())
    key = artifacts.result_key(run.dag_id, run.run_id, stage, shard)
    document = store.read(key)
    if document is None:
        raise AirflowFailException(f"the stage ended well but published no {store.locate(key)}")
    result = json.loads(document)
    return {"result": store.locate(key), "digest": result["outputs_digest"], "metrics": result["metrics"]}
