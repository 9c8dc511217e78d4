"""stage(): a StageSpec as an Airflow task, in the runtime that FOUNDRY_RUNTIME names; wire(): a pipeline of them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from _links import LINKS
from _stage_task import filled_in, task_arguments
from airflow.sdk import BaseOperator, Param, task
from airflow.sdk.definitions.mappedoperator import MappedOperator

from foundry_tasks.contract.form import form
from foundry_tasks.contract.market import with_market
from foundry_tasks.contract.settings import Settings
from foundry_tasks.contract.stages import PIPELINES, STAGES, inputs_in, shards

OPERATORS = {
    "process": ("_process_stage", "ProcessStage"),
    "docker": ("_docker_stage", "DockerStage"),
    "kubernetes": ("_kubernetes_stage", "KubernetesStage"),
}
"""Runtime → module and class; the runtime in use is the only one that is imported."""


def operator_class() -> type[BaseOperator]:
    """The operator of the runtime in use."""
    module, name = OPERATORS[Settings.from_environment().runtime]
    operator: type[BaseOperator] = getattr(import_module(module), name)
    return operator


def stage(name: str, **arguments: Any) -> BaseOperator:
    """The task of a stage; arguments: Airflow's own, such as pre_execute."""
    made = operator_class()(stage=name, **arguments)
    made.operator_extra_links = LINKS.get(name, ())
    return made


def mapped(name: str) -> MappedOperator:
    """The tasks of a stage, one per shard; the run's conf says how many once it has started."""
    found = shards_of.override(task_id=f"{name}_pieces")()
    return operator_class().partial(stage=name, **task_arguments(name)).expand(shard=found)


@task(multiple_outputs=False)
def shards_of(params: Mapping[str, Any] | None = None) -> list[str]:
    """The shards of the models stage by `fan_out`. Default: one per base model in containers, a single one in a process."""
    settings = Settings.from_environment()
    conf = with_market(filled_in(params or {}), settings.markets)
    return shards(conf, default="none" if settings.runtime == "process" else "model")


def wire(dag: str) -> dict[str, BaseOperator | MappedOperator]:
    """Every stage of a pipeline as a task, each after the stages whose results it reads."""
    tasks = {name: mapped(name) if STAGES[name].mapped else stage(name) for name in PIPELINES[dag]}
    for name, one in tasks.items():
        one.set_upstream([tasks[upstream] for upstream in inputs_in(dag, name)])
    return tasks


def trigger_form(dag: str, **filled: Any) -> dict[str, Param]:
    """The fields of a DAG's form; what is left empty takes the market's default, then the built-in one.

    filled: what stands in a field already, where the DAG's default is another than the stage's.
    """
    fields: Mapping[str, dict[str, Any]] = form(dag, filled)
    return {key: Param(filled.get(key), **schema) for key, schema in fields.items()}
