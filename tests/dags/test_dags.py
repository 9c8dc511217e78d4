"""DAGs parse, contain every stage once, and have the edges that the stages' inputs require."""

import ast

import pytest
from airflow.sdk.exceptions import ParamValidationError

from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.stages import PIPELINES, STAGES, conf_fields, inputs_in

DAGS = REPOSITORY / "dags"


@pytest.fixture(scope="module")
def dag_of(load):
    return lambda name: load(name).dag


@pytest.mark.parametrize("name", ["foundry_audit", "foundry_backtest", "foundry_daily", "foundry_train"])
def test_a_dag_is_its_pipeline(dag_of, name):
    dag = dag_of(name)
    assert dag.dag_id == name
    pieces = {f"{stage}_pieces" for stage in PIPELINES[name] if STAGES[stage].mapped}
    assert set(dag.task_ids) == {*PIPELINES[name], *pieces}
    for stage in PIPELINES[name]:
        before = set(inputs_in(name, stage)) | ({f"{stage}_pieces"} if STAGES[stage].mapped else set())
        assert dag.get_task(stage).upstream_task_ids == before


@pytest.mark.parametrize(
    ("runtime", "conf", "expected"),
    [
        ("process", {}, [""]),
        ("docker", {"models": ["logistic", "xgboost"]}, ["model=logistic", "model=xgboost"]),
        (
            "kubernetes",
            {"folds": 2, "warmup_blocks": 0, "models": ["xgboost"], "fan_out": "fold"},
            ["model=xgboost,fold=fold1", "model=xgboost,fold=fold2"],
        ),
        ("docker", {"fan_out": "none", "folds": None}, [""]),
        ("process", {"models": ["logistic", "xgboost", "xlstm_ts"]}, ["model=light", "model=xlstm_ts"]),
    ],
)
def test_the_models_stage_is_mapped_as_the_conf_says(dag_of, monkeypatch, runtime, conf, expected):
    task = dag_of("foundry_train").get_task("models_pieces")
    monkeypatch.setenv("FOUNDRY_RUNTIME", runtime)
    assert task.python_callable(conf) == expected


def test_a_mapped_stage_has_its_retries_and_its_time(dag_of):
    models = dag_of("foundry_train").get_task("models")
    assert models.is_mapped
    assert models.retries == STAGES["models"].retries
    assert models.execution_timeout.total_seconds() == STAGES["models"].timeout_s


def test_promote_is_its_pipeline_after_an_approval(dag_of):
    assert set(dag_of("foundry_promote").task_ids) == {"briefing", "approval", *PIPELINES["foundry_promote"]}


@pytest.mark.parametrize("name", sorted(path.stem for path in DAGS.glob("foundry_*.py")))
def test_no_dag_runs_twice_at_once_or_catches_up_and_each_tells_of_failures(dag_of, name):
    dag = dag_of(name)
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    for task in dag.tasks:
        assert [type(notice).__name__ for notice in task.on_failure_callback] == ["FailureNotice"]


def test_a_dag_with_a_schedule_starts_paused(dag_of):
    assert dag_of("foundry_daily").is_paused_upon_creation
    assert dag_of("foundry_train").is_paused_upon_creation


def test_every_key_of_the_conf_is_a_field_of_the_form_and_empty_means_the_default(dag_of):
    params = dag_of("foundry_train").params
    assert set(params) == set(conf_fields(PIPELINES["foundry_train"]))
    assert all(value is None for value in params.dump().values())


@pytest.mark.parametrize(
    ("key", "takes", "refuses"),
    [
        ("sizing", "long_short", "all_in"),
        ("entry", "next_close", "same_close"),
        ("folds", 3, 1),
        ("folds", None, "many"),
        ("half_spread_bp", 0.5, -1),
        ("horizons", [1, 5], [0]),
        ("horizons", ["1", "60"], ["61"]),
        ("models", ["logistic"], ["oracle"]),
        ("models", ["logistic", "lightgbm", "xgboost", "lstm_transformer", "xlstm_ts"], ["xlstm"]),
        ("deep_size", "small", "tiny"),
        ("deep_tasks", ["sign", "size"], ["height"]),
        ("denoise", True, "perhaps"),
        ("precision", "bfloat16", "int8"),
        ("sequence_sessions", 60, 1),
        ("market", "us", "US!"),
        ("start", "2020-01-02", "tomorrow"),
        ("confidence", 0.9, 1),
    ],
)
def test_the_form_takes_what_the_stage_takes_and_refuses_the_rest_before_anything_starts(dag_of, key, takes, refuses):
    field = dag_of("foundry_backtest").params.get_param(key)
    assert field.resolve(takes) == takes
    with pytest.raises(ParamValidationError):
        field.resolve(refuses)


def test_every_field_of_a_form_says_what_it_is_for(dag_of):
    for name in PIPELINES:
        for key, field in dag_of(name).params.items():
            assert (field.description or field.schema["description_md"]).endswith("."), key


def test_the_daily_run_skips_days_without_a_session_unless_it_is_told_otherwise(dag_of):
    said = {name: value for name, value in dag_of("foundry_daily").params.dump().items() if value is not None}
    assert said == {"skip_closed": True}


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
