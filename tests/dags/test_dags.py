"""DAGs: they parse, hold every stage once, and their edges are what the stages read."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

from foundry_tasks.contract.stages import PIPELINES, STAGES, conf_fields, inputs_in

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture(scope="module")
def dag_of():
    sys.path.insert(0, str(DAGS))

    def load(name):
        module = importlib.import_module(name)
        return next(item for item in vars(module).values() if type(item).__name__ == "DAG")

    yield load
    sys.path.remove(str(DAGS))


@pytest.mark.parametrize("name", sorted(path.stem for path in DAGS.glob("foundry_*.py")))
def test_a_dag_is_its_pipeline(dag_of, name):
    dag = dag_of(name)
    assert dag.dag_id == name
    assert set(dag.task_ids) == set(PIPELINES[name])
    for stage in PIPELINES[name]:
        assert dag.get_task(stage).upstream_task_ids == set(inputs_in(name, stage))


def test_every_key_of_the_conf_is_a_field_of_the_form_and_empty_means_the_default(dag_of):
    params = dag_of("foundry_train").params
    assert set(params) == set(conf_fields())
    assert all(value is None for value in params.dump().values())


def test_every_stage_of_the_table_has_a_module_and_every_module_a_row():
    modules = {path.stem for path in (DAGS.parent / "foundry_tasks" / "stages").glob("*.py")} - {"__init__"}
    assert modules == set(STAGES)


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.name)
def test_a_dag_file_imports_the_contract_and_nothing_else_of_the_package(path):
    imported = [
        node.module for node in ast.iter_child_nodes(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
    ]
    package = [name for name in imported if name.startswith("foundry_tasks")]
    assert all(name.startswith("foundry_tasks.contract") for name in package)


@pytest.mark.parametrize("path", sorted(DAGS.glob("foundry_*.py")), ids=lambda path: path.name)
def test_a_dag_file_is_schedule_params_and_edges(path):
    assert len(path.read_text().splitlines()) <= 80


def test_stages_come_after_what_they_read():
    for stages in PIPELINES.values():
        for position, stage in enumerate(stages):
            assert set(STAGES[stage].inputs) & set(stages) <= set(stages[:position])
