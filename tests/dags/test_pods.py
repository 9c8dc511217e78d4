"""A stage's pod and its tasks: created once, adopted by later tries, deleted at the end."""

import asyncio
import importlib
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import DagRun
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, TaskDeferred

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import result_key
from foundry_tasks.contract.environment_variables import REPOSITORY
from tests.kubernetes_api import KubernetesApi, kubeconfig

RUN = "manual__2026-07-01T12:00:00+00:00"
MOMENT = datetime(2026, 7, 1, 12, tzinfo=UTC)
RESULT = {"outputs_digest": "d", "metrics": {"rows": 3}}


@pytest.fixture
def api():
    """An API whose pods run until a test ends them."""
    api = KubernetesApi(lambda _: None)
    yield api
    api.close()


@pytest.fixture
def attempt(api, monkeypatch, tmp_path):
    """attempt(number) → one try of the task `labels`, as in a new process; its stage has published its result."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "dags"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    config = kubeconfig(api.server, tmp_path / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", config)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", config)  # read at import
    monkeypatch.setenv("FOUNDRY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("FOUNDRY_IMAGE_CPU", "foundry/stage-cpu@sha256:" + "c" * 64)
    LocalStore(tmp_path / "store").write(result_key("foundry_train", RUN, "labels", None), json.dumps(RESULT).encode())
    stage = importlib.import_module("_kubernetes_stage").KubernetesStage

    def make(number=1):
        with DAG("foundry_train", schedule=None) as dag:
            return Try(stage(stage="labels"), dag, number)

    return make


class Try:
    """One try of a task, with the calls that Airflow makes."""

    def __init__(self, task, dag, number):
        self.task = task
        run = DagRun(
            dag_id=dag.dag_id, run_id=RUN, logical_date=MOMENT, run_after=MOMENT, start_date=MOMENT, run_type="manual",
            state="running", consumed_asset_events=[], data_interval_start=None, data_interval_end=None, end_date=None,
            partition_key=None,
        )  # fmt: skip
        ti = SimpleNamespace(
            dag_id=dag.dag_id, task_id=task.task_id, map_index=-1, try_number=number, start_date=datetime.now(UTC),
            xcom_push=lambda *_, **__: None, get_task_states=self.states,
        )  # fmt: skip
        self.state = "running"
        self.context = {"dag_run": run, "run_id": RUN, "params": ParamsDict({}), "dag": dag, "ti": ti}

    def states(self, *, task_ids, run_ids, map_index, **_):
        """The tasks' states in Airflow."""
        key = f"_{map_index}" if map_index >= 0 else ""
        return {run: {task + key: self.state for task in task_ids} for run in run_ids}

    def falls_asleep(self):
        """Run the task until it is deferred. Returns its trigger."""
        with pytest.raises(TaskDeferred) as deferred:
            self.task.execute(self.context)
        return deferred.value

    def wakes_up(self, deferred):
        """Resume the task with the triggerer's event. Returns the task's result."""

        async def event():
            (said,) = [one.payload async for one in deferred.trigger.run()]
            return said

        return getattr(self.task, deferred.method_name)(self.context, event=asyncio.run(event()))


def test_a_task_sleeps_while_its_pod_works_and_wakes_with_the_result(api, attempt, tmp_path):
    asleep = attempt().falls_asleep()
    (pod,) = api.made
    assert (asleep.trigger.pod_name, asleep.trigger.pod_namespace) == (pod["metadata"]["name"], "default")
    api.end(pod, 0)
    woken = attempt()
    found = woken.wakes_up(asleep)
    assert found["digest"] == "d"
    assert found["metrics"] == {"rows": 3}
    assert woken.task.do_xcom_push, "what it returns is its XCom"
    assert api.pods == {}


def test_the_whole_log_of_a_pod_is_kept_however_much_of_it_the_triggerer_has_shown(api, attempt):
    name = attempt().falls_asleep().trigger.pod_name
    api.end(api.made[0], 0)
    woken = attempt()
    event = {"status": "success", "name": name, "namespace": "default", "last_log_time": datetime.now(UTC)}
    woken.task.trigger_reentry(woken.context, event)
    (log,) = [path for _, path, _ in api.asked if "/log?" in path]
    assert "sinceSeconds" not in log


def test_a_later_try_adopts_the_pod_that_is_at_work(api, attempt):
    asleep = [attempt(number).falls_asleep() for number in (1, 2)]
    assert len(api.made) == 1
    assert asleep[0].trigger.pod_name == asleep[1].trigger.pod_name


def test_a_later_try_takes_the_result_of_the_pod_that_ended_well(api, attempt):
    attempt(1).falls_asleep()
    api.end(api.made[0], 0)
    later = attempt(2)
    assert later.task.execute(later.context)["digest"] == "d"
    assert len(api.made) == 1
    assert api.pods == {}


def test_a_later_try_makes_a_new_pod_in_the_place_of_one_that_failed(api, attempt):
    attempt(1).falls_asleep()
    api.end(api.made[0], 137)
    attempt(2).falls_asleep()
    assert [pod["metadata"]["labels"]["try_number"] for pod in api.made] == ["1", "2"]
    assert list(api.pods) == [api.made[1]["metadata"]["name"]]


def test_a_killed_task_takes_its_pod_with_it(api, attempt):
    killed = attempt()
    killed.falls_asleep()
    killed.task.on_kill()
    assert api.pods == {}


@pytest.mark.parametrize("piece", [-1, 3])
def test_a_task_that_is_ended_while_it_asks_for_its_pod_leaves_none_behind(api, attempt, piece):
    ended = attempt()
    ended.context["ti"].map_index = piece
    ended.state = "failed"
    ended.falls_asleep()  # Airflow refuses to defer it
    assert len(api.made) == 1
    assert api.pods == {}


def test_a_task_that_is_killed_before_it_has_a_pod_asks_for_nothing(api, attempt):
    attempt().task.on_kill()
    assert api.asked == []


def test_another_piece_of_the_same_stage_is_another_pod(api, attempt):
    whole, piece = attempt(), attempt()
    piece.task.shard = "h=5"
    whole.falls_asleep()
    piece.falls_asleep()
    assert len(api.pods) == 2


@pytest.mark.parametrize(
    ("code", "reason", "outcome", "said"),
    [
        (10, "", AirflowFailException, "exit 10: foundry: why"),
        (99, "", AirflowSkipException, "foundry: why"),
        (30, "", AirflowException, "exit 30, will be tried again: foundry: why"),
        (137, "OOMKilled", AirflowException, "out of memory: more than the 8192 MB that labels is given"),
    ],
)
def test_a_woken_task_ends_as_its_pods_exit_code_says(api, attempt, code, reason, outcome, said):
    asleep = attempt().falls_asleep()
    api.end(api.made[0], code, "a\nfoundry: why\n", reason)
    with pytest.raises(AirflowException, match=said) as raised:
        attempt().wakes_up(asleep)
    assert type(raised.value) is outcome
    assert api.pods == {}


def test_a_pod_may_wait_for_room_longer_than_airflow_waits_by_itself_and_ends_in_its_stages_time(api, attempt):
    trigger = attempt().falls_asleep().trigger
    assert (trigger.schedule_timeout, trigger.startup_timeout) == (3600, 1200)
    assert api.made[0]["spec"]["activeDeadlineSeconds"] == 3600
