"""The other DAGs on the stack: the daily run with what there is, and a person's decision under the name they logged in by."""

import pytest

from tests.containers.stack import NEW, SMALL

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

MODEL = "foundry-us-1d"


@pytest.fixture(scope="module")
def version(stack):
    """A version of the one-day model, which its gates refused: so small a run proves nothing."""
    run = f"judged-{NEW}"
    stack.trigger("foundry_train", SMALL, run)
    assert stack.wait("foundry_train", run) == "success"
    found = stack.mlflow(f"model-versions/search?filter=name%3D%27{MODEL}%27").json["model_versions"]
    return max(int(one["version"]) for one in found)


def test_the_daily_run_predicts_scores_and_reports(stack, version):
    run = f"daily-{NEW}"
    conf = {"horizons": [1], "feature_set": "core", "start": "2021-01-04", "skip_closed": False}
    assert stack.trigger("foundry_daily", conf, run).status == 200
    assert stack.wait("foundry_daily", run) == "success"
    assert {one["task_id"]: one["state"] for one in stack.tasks("foundry_daily", run)} == dict.fromkeys(
        ("prices", "features", "predict", "monitor", "report"), "success"
    )


def test_what_the_gates_refused_is_refused_to_whoever_approves_it_by_name(stack, version):
    run = f"approved-{NEW}"
    conf = {"model": MODEL, "action": "approve", "version": version}
    assert stack.trigger("foundry_promote", conf, run).status == 200
    stack.wait_for_task("foundry_promote", run, "approval", {"awaiting_input", "deferred"})
    answer = {"chosen_options": ["Approve"], "params_input": {"reason": "it looked fine to me"}}
    details = f"/dags/foundry_promote/dagRuns/{run}/taskInstances/approval/-1/hitlDetails"
    assert stack.airflow(details, method="PATCH", body=answer).status == 200
    assert stack.wait("foundry_promote", run) == "failed"
    log = stack.log("foundry_promote", run, "decide")
    assert f"version {version} cannot be approved: its gates, or what followed them, refused it" in log
    assert '"who": "admin"' in log, "the command by hand says who"
    assert '"why": "it looked fine to me"' in log
