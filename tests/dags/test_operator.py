"""A stage as an Airflow task: its command follows from the run, its XCom is an address, exit codes map to task states."""

import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.sdk import DAG, Param
from airflow.sdk.api.datamodels._generated import DagRun
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.results import StageResult
from foundry_tasks.contract.stages import STAGES
from foundry_tasks.runtime.progress import say as say_in_stage
from tests.e2e.foundry_here import AS_OF, TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(10)

DAGS = Path(__file__).parents[2] / "dags"
RUN = "manual__2026-07-01T12:00:00+00:00"
NEXT_DAY = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def dags_folder():
    """Import path of DAG files."""
    sys.path.insert(0, str(DAGS))
    yield
    sys.path.remove(str(DAGS))


@pytest.fixture(scope="module")
def stages(dags_folder):
    return importlib.import_module("_stages")


@pytest.fixture(scope="module")
def stage_task(dags_folder):
    return importlib.import_module("_stage_task")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A run up to the stage gates."""
    folder = tmp_path_factory.mktemp("prepared")
    market = write_market(folder / "market", simulated_market(sessions=320, tickers=12, seed=5))
    conf = TINY | market | {"validate_only": True}
    foundry = Foundry(folder)
    foundry.train(RUN, conf, until="gates")
    return foundry, conf


@pytest.fixture
def foundry(prepared, monkeypatch, tmp_path):
    """The settings of this run in the environment, as in an Airflow worker."""
    foundry, _ = prepared
    for key, value in foundry.settings.model_dump().items():
        monkeypatch.setenv(f"FOUNDRY_{key.upper()}", str(value))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return foundry


def context_of(conf, run_id=RUN, **keys):
    """Airflow's context for a task of a run with `conf`."""
    run = DagRun(
        dag_id="foundry_train", run_id=run_id, logical_date=NEXT_DAY, run_after=NEXT_DAY, start_date=NEXT_DAY,
        run_type="manual", state="running", consumed_asset_events=[],
        data_interval_start=None, data_interval_end=None, end_date=None, partition_key=None,
    )  # fmt: skip
    params = ParamsDict({key: Param(value) for key, value in conf.items()})
    return {"dag_run": run, "params": params, **keys}


@pytest.fixture
def task(stages, foundry):
    """task(stage) → its operator, in a DAG."""

    def make(name):
        with DAG("foundry_train", schedule=None):
            return stages.stage(name)

    return make


# ------------------------------------------------------------------ what goes in
def test_the_command_line_follows_from_the_runs_identity(stage_task):
    context = context_of({"folds": 3, "horizons": [1, 5]})
    assert stage_task.stage_command("models", None, context) == [
        "foundry", "models", "--dag", "foundry_train", "--run-id", RUN, "--as-of", "2026-06-30",
        "--config", '{"folds": 3, "horizons": [1, 5]}',
    ]  # fmt: skip


def test_a_field_of_the_form_that_was_left_empty_is_left_out_of_the_conf(stages, stage_task):
    form = dict.fromkeys(stages.trigger_form("foundry_train")) | {"skip_gates": False, "vix": "", "folds": 3}
    form["tickers"] = ["AAPL", "", "MSFT", ""]  # an empty line is not a ticker
    conf = json.loads(stage_task.stage_command("models", None, context_of(form))[-1])
    assert conf == {"skip_gates": False, "vix": "", "folds": 3, "tickers": ["AAPL", "MSFT"]}, (
        "what is false or empty text was said"
    )


def test_as_of_is_the_day_before_the_schedule_fires(stage_task):
    fires = datetime(2026, 7, 7, 12, 15, tzinfo=UTC)
    command = stage_task.stage_command("prices", None, context_of({}, data_interval_end=fires))
    assert command[command.index("--as-of") + 1] == "2026-07-06"


def test_a_task_has_its_stages_retries_and_the_report_runs_after_skips(task):
    for name, spec in STAGES.items():
        operator = task(name)
        assert (operator.task_id, operator.retries) == (name, spec.retries)
        assert operator.trigger_rule == ("none_failed" if name == "report" else "all_success")


def test_a_stage_inherits_the_environment_with_bytecode_allowed(stage_task, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("FOUNDRY_STORE", "/data/store")
    inherited = stage_task.process_environment()
    assert "PYTHONDONTWRITEBYTECODE" not in inherited
    assert inherited["FOUNDRY_STORE"] == "/data/store"


# ------------------------------------------------------------------ what comes out
@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (1, AirflowFailException),
        (2, AirflowFailException),
        (10, AirflowFailException),
        (20, AirflowFailException),
        (30, AirflowException),
        (99, AirflowSkipException),
        (137, AirflowException),
        (-signal.SIGKILL, AirflowException),
        (143, AirflowFailException),
    ],
)
def test_an_exit_code_is_a_skip_a_retry_or_a_failure_at_once(stage_task, code, outcome):
    with pytest.raises(AirflowException) as raised:
        stage_task.raise_for_exit(code, "foundry: why")
    assert type(raised.value) is outcome
    assert "foundry: why" in str(raised.value)


def test_a_line_has_the_level_that_the_stage_meant(stage_task, caplog, capsys):
    caplog.set_level("INFO")
    say_in_stage("warning", text="3 tickers are excluded")
    say_in_stage("done", stage="prices", warnings=1)
    printed = capsys.readouterr().err.splitlines()
    for line in [*printed, "foundry: what is wrong"]:
        stage_task.say(logging.getLogger("task"), line)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "ERROR"]


def test_a_stages_warnings_are_lines_of_its_log(task, foundry, monkeypatch):
    lines = []
    monkeypatch.setattr(importlib.import_module("_process_stage"), "say", lambda _, line: lines.append(line))
    told = task("prices").execute(context_of({"source": "sample", "start": "2021-01-04"}, run_id="warned"))
    warnings = StageResult.model_validate_json(Path(told["result"]).read_text()).warnings
    assert warnings, "a stage without one would prove nothing"
    assert len([line for line in lines if line.startswith("warning: ")]) == len(warnings)


def test_exit_0_is_no_exception(stage_task):
    assert stage_task.raise_for_exit(0, "") is None


def test_xcom_is_the_results_address_and_its_headline_figures_and_no_more(task, foundry, prepared):
    told = task("ensemble").execute(context_of(prepared[1]))
    result = StageResult.model_validate_json(Path(told["result"]).read_text())
    assert told == {"result": told["result"], "digest": result.outputs_digest, "metrics": result.metrics}
    assert told["result"] == foundry.store.locate(artifacts.result_key("foundry_train", RUN, "ensemble", None))
    assert result.as_of == AS_OF
    assert len(json.dumps(told)) < 2000


def test_a_stage_that_publishes_nothing_has_failed(stage_task, foundry):
    with pytest.raises(AirflowFailException, match=r"published no .*result\.json"):
        stage_task.published("predict", None, context_of({}))


def test_a_bad_conf_fails_at_once_with_the_stages_own_line(task, prepared):
    with pytest.raises(AirflowFailException, match=r"^exit 10: foundry: folds=1: .*greater than or equal to 2"):
        task("models").execute(context_of(prepared[1] | {"folds": 1}))


def test_rejected_data_fails_at_once(task, prepared, tmp_path):
    (tmp_path / "bars.csv").write_text("")
    with pytest.raises(AirflowFailException, match=r"^exit 20: foundry: .*bars\.csv is empty"):
        task("prices").execute(context_of(prepared[1] | {"prices": str(tmp_path / "bars.csv")}, run_id="rejected"))


def test_a_full_store_is_tried_again(task, foundry, prepared):
    log = Path(foundry.store.locate(artifacts.run_log_key("foundry_train", "full")))
    for name in ("prices", "features", "labels"):
        foundry.stage(name, "full", prepared[1])
    log.unlink()
    log.symlink_to("/dev/full")
    with pytest.raises(AirflowException, match=r"^exit 30, will be tried again: foundry: the store is full") as raised:
        task("labels").execute(context_of(prepared[1], run_id="full"))
    assert type(raised.value) is AirflowException


def test_nothing_to_do_is_a_skip(task, prepared):
    with pytest.raises(AirflowSkipException, match="validate_only"):
        task("refit").execute(context_of(prepared[1]))


# ------------------------------------------------------------------ killed
@pytest.fixture
def at_work(task, foundry, prepared, tmp_path):
    """A models task with minutes of work, in a thread as in Airflow. `ended` has its result."""
    conf = prepared[1] | {"models": ["lightgbm"], "seeds": 2000}
    operator, ended = task("models"), []
    for name in ("prices", "features", "labels"):
        foundry.stage(name, "killed", conf)

    def execute():
        try:
            operator.execute(context_of(conf, run_id="killed"))
        except AirflowException as error:
            ended.append(error)

    thread = threading.Thread(target=execute)
    thread.start()
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("foundry-models-*/publish/*")):  # its folds
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield operator, thread, ended
    operator.on_kill()
    thread.join(60)


def test_a_stage_that_the_machine_killed_is_tried_again(at_work):
    operator, thread, ended = at_work
    os.kill(operator._process.pid, signal.SIGKILL)
    thread.join(60)
    assert type(ended[0]) is AirflowException
    assert "exit -9, will be tried again" in str(ended[0])


def test_killing_the_task_stops_its_process_which_cleans_up(at_work, foundry, tmp_path):
    operator, thread, ended = at_work
    operator.on_kill()
    thread.join(60)
    assert operator._process.returncode == 128 + signal.SIGTERM
    assert type(ended[0]) is AirflowFailException, "a task that was told to stop is not tried again"
    assert list(tmp_path.glob("foundry-models-*")) == []
    assert foundry.store.read(artifacts.result_key("foundry_train", "killed", "models", None)) is None


FAMILY = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
time.sleep(600)
"""
SLEEPS = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)


@pytest.mark.parametrize(("child", "says"), [(SLEEPS, False), (STUBBORN, True)], ids=["willing", "deaf"])
def test_killing_the_task_stops_the_whole_group(task, child, says, monkeypatch):
    monkeypatch.setattr(importlib.import_module("_process_stage"), "GRACE_S", 1)
    operator = task("models")
    operator._process = subprocess.Popen(
        [sys.executable, "-c", FAMILY, child], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    pid = int(operator._process.stdout.readline())
    if says:
        assert operator._process.stdout.readline() == "deaf\n"
    operator.on_kill()
    operator._process.wait(60)
    operator._process.stdout.close()
    deadline = time.monotonic() + 60
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid):
    """Whether a process runs. Zombies count as dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_killing_a_task_that_never_started_or_has_ended_is_nothing(task, prepared):
    operator = task("ensemble")
    operator.on_kill()
    operator.execute(context_of(prepared[1]))
    operator.on_kill()
