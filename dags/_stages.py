"""stage(): a StageSpec as an Airflow task in the runtime of FOUNDRY_RUNTIME; wire(): a whole pipeline."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from _links import LINKS
from _stage_task import filled_in, task_arguments
from airflow.sdk import BaseOperator, Param, task
from airflow.sdk.definitions.mappedoperator import MappedOperator

from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.form import form
from foundry_tasks.contract.market import with_market
from foundry_tasks.contract.stages import PIPELINES, STAGES, inputs_in, shards

OPERATORS = {
    "process": ("_process_stage", "ProcessStage"),
    "docker": ("_docker_stage", "DockerStage"),
    "kubernetes": ("_kubernetes_stage", "KubernetesStage"),
}
"""Runtime → module and class. Only the runtime in use is imported."""


def operator_class() -> type[BaseOperator]:
    """The operator of the runtime in use."""
    module, name = OPERATORS[Settings.from_environment().runtime]
    operator: type[BaseOperator] = getattr(import_module(module), name)
    return operator


def stage(name: str, **arguments: Any) -> BaseOperator:
    """The task of a stage. arguments: passed to the operator, such as pre_execute."""
    made = operator_class()(stage=name, **arguments)
    made.operator_extra_links = LINKS.get(name, ())
    return made


def mapped(name: str) -> MappedOperator:
    """The mapped task of a stage, one instance per shard. The conf sets their number at run time."""
    found = shards_of.override(task_id=f"{name}_pieces")()
    return operator_class().partial(stage=name, **task_arguments(name)).expand(shard=found)


@task(multiple_outputs=False)
def shards_of(params: Mapping[str, Any] | None = None) -> list[str]:
    """The shards of the models stage by `fan_out`. Default: one per base model in containers, a single one in a process."""
    settings = Settings.from_environment()
    conf = with_market(filled_in(params or {}), settings.markets)
    return shards(conf, default="none" if settings.runtime == "process" else "model")


def wire(dag: str) -> dict[str, BaseOperator | MappedOperator]:
    """All stages of a pipeline as tasks. Each runs after the stages that it reads."""
    tasks = {name: mapped(name) if STAGES[name].mapped else stage(name) for name in PIPELINES[dag]}
    for name, one in tasks.items():
        one.set_upstream([tasks[upstream] for upstream in inputs_in(dag, name)])
    return tasks


def trigger_form(dag: str, **filled: Any) -> dict[str, Param]:
    """The fields of a DAG's form. An empty field means the market's default, else the built-in one.

    filled: initial values, for defaults of the DAG that differ from the stage's.
    """
    fields: Mapping[str, dict[str, Any]] = form(dag, filled)
    return {key: Param(filled.get(key), **schema) for key, schema in fields.items()}
