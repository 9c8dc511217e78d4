"""The other DAGs on the stack: the daily run, by hand and by the timetable, and a person's decisions under their login
name, on a user's market.
"""

import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

import exchange_calendars
import pytest

from foundry_tasks.contract.artifacts import run_key
from foundry_tasks.contract.policy import RULES
from tests.containers.stack import AT_WORK, NEW, REPORTS, REPOSITORY, SMALL, basic, make, request, secret
from tests.e2e.foundry_here import write_market
from tests.leakage.markets import simulated_market

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

MODEL = "foundry-us-1d"


@pytest.fixture(scope="module")
def version(stack):
    """The newest version of the one-day model, which the gates refused because the run is too small."""

    def versions():
        found = stack.mlflow(f"model-versions/search?filter=name%3D%27{MODEL}%27").json
        return [int(one["version"]) for one in found.get("model_versions", ())]

    if not versions():
        stack.trigger("foundry_train", SMALL | {"feature_set": "extended"}, f"judged-{NEW}")
        assert stack.wait("foundry_train", f"judged-{NEW}") == "success"
    return max(versions())


def test_the_daily_run_predicts_scores_and_reports(stack, version):
    run = f"daily-{NEW}"
    conf = {"horizons": [1], "skip_closed": False}
    assert stack.trigger("foundry_daily", conf, run).status == 200
    assert stack.wait("foundry_daily", run) == "success"
    assert {one["task_id"]: one["state"] for one in stack.tasks("foundry_daily", run)} == dict.fromkeys(
        ("prices", "features", "predict", "monitor", "report"), "success"
    )


def test_a_run_of_a_paused_dag_says_over_rest_and_on_the_shell_that_it_waits_and_for_what(stack):
    dag = "foundry_audit"
    waits = f"{dag} is paused, so this run stays queued until `airflow dags unpause {dag}`."
    runs = f"/dags/{dag}/dagRuns"
    stack.airflow(f"/dags/{dag}", method="PATCH", body={"is_paused": True})
    try:
        for run, note, read in ((f"waits-{NEW}", None, waits), (f"noted-{NEW}", "mine", "mine")):
            body = {"dag_run_id": run, "logical_date": None, "conf": {}, "note": note}
            assert stack.airflow(runs, method="POST", body=body).status == 200
            waiting = stack.airflow(f"{runs}/{run}").json
            assert (waiting["state"], waiting["note"]) == ("queued", read)
        shell = stack.service("scheduler").exec_run(["airflow", "dags", "trigger", dag, "--run-id", f"shell-{NEW}"])
        assert waits in shell.output.decode()
    finally:
        for run in (f"waits-{NEW}", f"noted-{NEW}", f"shell-{NEW}"):
            stack.airflow(f"{runs}/{run}", method="DELETE")
        stack.airflow(f"/dags/{dag}", method="PATCH", body={"is_paused": False})


def test_make_trigger_starts_a_paused_dag_follows_the_run_and_ends_with_its_report(stack):
    stack.airflow("/dags/foundry_train", method="PATCH", body={"is_paused": True})
    conf = SMALL | {"models": ["lightgbm"], "seed": 9}  # a bundle that no other test registers
    keys = (f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}" for key, value in conf.items())
    lines = make("trigger", "DAG=foundry_train", f"SET={' '.join(keys)}").splitlines()
    assert {line.split()[0] for line in lines if line.startswith("  ")} >= {"prices", "models", "gates", "report"}
    state, page = lines[-1].split(": ", 1)
    assert state == "success"
    assert request(page, headers=basic("foundry", secret("reports_password"))).status == 200


def test_make_trigger_refuses_a_wrong_conf_before_anything_starts(stack):
    with pytest.raises(AssertionError, match="folds"):
        make("trigger", "SET=folds=none")


@pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars uses a deprecated call of pandas
def test_a_session_that_came_while_nobody_scheduled_is_made_good_by_the_timetable(stack):
    new_york, now = ZoneInfo("America/New_York"), datetime.now(UTC)
    fortnight = timedelta(days=14)
    sessions = exchange_calendars.get_calendar("XNYS").sessions_in_range(now.date() - fortnight, now.date() + fortnight)
    firings = [datetime.combine(session.date(), clock(8, 15), new_york) for session in sessions]

    def newest() -> datetime:
        """Of the firings until now: one may come while this test runs."""
        return max(one for one in firings if one <= datetime.now(UTC))

    columns = (
        "next_dagrun",
        "next_dagrun_data_interval_start",
        "next_dagrun_data_interval_end",
        "next_dagrun_create_after",
    )

    def fired():
        """Make the database that of a scheduler that planned this session and was then stopped. Returns its runs."""
        planned = ", ".join(f"{column} = '{newest().isoformat()}'" for column in columns)
        stack.sql("airflow", f"update dag set {planned} where dag_id = 'foundry_daily'")  # noqa: S608 - constants of the test
        runs = stack.airflow("/dags/foundry_daily/dagRuns?run_type=scheduled").json["dag_runs"]
        return [run for run in runs if datetime.fromisoformat(run["run_after"]) == newest()]

    stack.airflow("/dags/foundry_daily", method="PATCH", body={"is_paused": False})
    (run,) = stack.until(fired, bool, timeout_s=120)
    stack.wait("foundry_daily", run["dag_run_id"])  # predict fails with a message if a horizon has no version
    states = {one["task_id"]: one["state"] for one in stack.tasks("foundry_daily", run["dag_run_id"])}
    assert states["prices"] == states["features"] == "success"
    stack.until(
        lambda: stack.airflow("/dags/foundry_daily").json["next_dagrun_run_after"],
        lambda at: at and datetime.fromisoformat(at) == min(one for one in firings if one > datetime.now(UTC)),
        timeout_s=120,
    )


def test_a_backtest_by_hand_ends_with_a_report_and_every_trade(stack):
    run = f"backtest-{NEW}"
    conf = SMALL | {"walk": "rolling", "sizing": "long_short", "half_spread_bp": 5, "retrain_sessions": 30}
    assert stack.trigger("foundry_backtest", conf, run).status == 200
    assert stack.wait("foundry_backtest", run) == "success"
    login = basic("foundry", secret("reports_password"))
    pages = f"{REPORTS}/pages/foundry_backtest/{run_key(run)}"
    document = request(f"{pages}/report.json", headers=login).json
    assert document["portfolio"]
    trades = request(f"{pages}/trades-1d.csv", headers=login)
    assert trades.headers["content-type"].startswith("text/csv")
    assert trades.body.startswith(b"decided,executed,ticker,weight_change,price,cost\n20")
    refused = stack.trigger("foundry_backtest", conf | {"sizing": "all_in"}, f"bad-backtest-{NEW}")
    assert refused.status in {400, 422}
    assert b"sizing" in refused.body


def decide(stack, run, conf, reason):
    """Trigger a decision, approve it as in the UI, and wait. Returns the run's final state."""
    assert stack.trigger("foundry_promote", conf, run).status == 200
    stack.wait_for_task("foundry_promote", run, "approval", {"awaiting_input", "deferred"})
    # Airflow fails a task that is answered before its worker has deferred it and the scheduler knows: up to 6 s.
    stack.until(lambda: AT_WORK.findall(str(stack.service("scheduler").top())), lambda found: not found, timeout_s=300)
    time.sleep(15)
    answer = {"chosen_options": ["Approve"], "params_input": {"reason": reason}}
    details = f"/dags/foundry_promote/dagRuns/{run}/taskInstances/approval/-1/hitlDetails"
    assert stack.airflow(details, method="PATCH", body=answer).status == 200
    return stack.wait("foundry_promote", run)


def test_what_the_gates_refused_is_refused_to_whoever_approves_it_by_name(stack, version):
    run = f"approved-{NEW}"
    conf = {"model": MODEL, "action": "approve", "version": version}
    assert decide(stack, run, conf, "it looked fine to me") == "failed"
    log = stack.log("foundry_promote", run, "decide")
    assert f"version {version} cannot be approved: its gates, or what followed them, refused it" in log
    assert '"who": "admin"' in log, "the command by hand says who"
    assert '"why": "it looked fine to me"' in log


@pytest.fixture(scope="module")
def market(stack):
    """A user's market with an edge: files in markets/, which `make markets` copies to the stages."""
    name = f"own{NEW}"
    folder = REPOSITORY / "markets" / name
    write_market(folder, simulated_market(sessions=560, tickers=40, seed=11, signal=0.25))
    files = {key: f"{name}/{key}.{kind}" for key, kind in EDGE_FILES.items()}
    lines = [f"{key} = {json.dumps(value)}" for key, value in (EDGE | files).items()]
    (folder.parent / f"{name}.toml").write_text("\n".join(lines))
    make("markets")
    yield name
    shutil.rmtree(folder)
    (folder.parent / f"{name}.toml").unlink()


EDGE_FILES = {"prices": "parquet", "benchmark": "parquet", "sectors": "csv"}
EDGE = SMALL | {"source": "parquet", "folds": 4, "test_sessions": 60, "validation_sessions": 40}
EDGE.pop("start")


def champion(stack, model):
    found = stack.mlflow(f"registered-models/alias?name={model}&alias=champion")
    return int(found.json["model_version"]["version"]) if found.status == 200 else None


def events(stack, model):
    """Asset events of the model: (event, version)."""
    found = stack.airflow("/assets/events?order_by=timestamp&limit=100").json["asset_events"]
    told = [one["extra"] for one in found if one["extra"].get("model") == model]
    return [(one["event"], one["version"]) for one in told]


def test_a_near_miss_is_approved_the_usual_policy_promotes_and_a_person_rolls_back(stack, market):
    model = f"foundry-{market}-1d"
    planned = " ".join(f"{key}={value}" for key, value in EDGE.items() if key in RULES and not isinstance(value, list))
    policy = {"action": "policy", "market": market, "changes": f"{planned} horizons=1"}
    assert decide(stack, f"policy-{NEW}", policy, "a small market") == "success"

    stack.trigger("foundry_train", {"market": market, "min_auc": 0.99}, f"near-miss-{NEW}")
    assert stack.wait("foundry_train", f"near-miss-{NEW}") == "success"
    assert champion(stack, model) is None

    approve = {"model": model, "action": "approve", "version": 1}
    assert decide(stack, f"approve-{NEW}", approve, "the interval is well above chance") == "success"
    assert champion(stack, model) == 1

    stack.trigger("foundry_train", {"market": market}, f"usual-{NEW}")
    assert stack.wait("foundry_train", f"usual-{NEW}") == "success"
    assert champion(stack, model) == 2

    back = {"model": model, "action": "rollback", "version": None}
    assert decide(stack, f"back-{NEW}", back, "we knew the first one better") == "success"
    assert champion(stack, model) == 1

    records = [json.loads(line) for line in stack.foundry("ledger", "show", model).stdout.splitlines()]
    decided = [(one["event"], one["who"], one["why"]) for one in records if one["event"] in {"promoted", "rolled_back"}]
    assert [event for event, _, _ in decided] == ["promoted", "promoted", "rolled_back"]
    assert decided[0][1:] == ("admin", "the interval is well above chance")
    assert decided[2][1:] == ("admin", "we knew the first one better")
    assert stack.foundry("ledger", "verify").returncode == 0
    assert events(stack, model) == [("promoted", 1), ("promoted", 2), ("rolled_back", 1)]
