"""foundry_promote: what a person is told, how their name and reason reach the stage, and the events of champions."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.context import OutletEventAccessors

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.policy import built_in
from tests.looked_at import add_look, add_version

ANN = {"id": "7", "name": "ann"}


@pytest.fixture(scope="module")
def dag(load):
    return load("foundry_promote").dag


def answered(dag, option="Approve", reason="as we agreed"):
    """The approval task's XCom after a person's answer."""
    event = {
        "chosen_options": [option], "params_input": {"reason": reason}, "responded_by_user": ANN,
        "responded_at": datetime(2026, 11, 20, tzinfo=UTC),
    }  # fmt: skip
    return dag.get_task("approval").execute_complete({"ti": None, "task": dag.get_task("approval")}, event)


def context_of(answer, **params):
    ti = SimpleNamespace(xcom_pull=lambda task_ids: answer if task_ids == "approval" else None)
    return {"ti": ti, "params": params}


# ------------------------------------------------------------------ approval
def test_nothing_moves_before_a_person_has_approved(dag):
    assert dag.get_task("decide").upstream_task_ids == {"approval"}
    assert dag.get_task("approval").upstream_task_ids == {"briefing"}
    assert dag.get_task("decide").trigger_rule == "all_success"
    assert dag.get_task("approval").defaults is None, "nobody's silence approves"


def test_the_approvers_name_and_reason_become_who_and_why(load, dag):
    context = context_of(answered(dag), model="foundry-us-5d", action="approve", version=3)
    load("_approval").with_answer(context)
    assert context["params"] == {
        "model": "foundry-us-5d", "action": "approve", "version": 3, "who": "ann", "authenticated": True,
        "why": "as we agreed",
    }  # fmt: skip


def test_nobody_says_in_the_form_who_approved(load, dag):
    assert set(dag.params) == {"model", "action", "version", "market", "changes"}
    context = context_of(answered(dag, reason=None), who="somebody else", why="forged", authenticated=False)
    load("_approval").with_answer(context)
    assert context["params"] == {"who": "ann", "why": "", "authenticated": True}


def test_a_person_whom_airflow_asked_for_no_login_is_not_authenticated(load, dag):
    nobody = {"id": "Anonymous", "name": "Anonymous"}
    context = context_of(answered(dag) | {"responded_by_user": nobody}, authenticated=True)
    load("_approval").with_answer(context)
    assert context["params"] == {"who": "Anonymous", "why": "as we agreed", "authenticated": False}


def test_a_person_without_a_name_is_known_by_their_id(load, dag):
    context = context_of(answered(dag) | {"responded_by_user": {"id": "7", "name": ""}})
    load("_approval").with_answer(context)
    assert context["params"]["who"] == "7"


def test_the_answer_is_put_in_before_the_stage_runs(load, dag):
    assert dag.get_task("decide")._pre_execute_hook is load("_approval").with_answer


@pytest.mark.parametrize(
    "wrong", [{"action": "delete"}, {"version": 0}, {"model": ""}, {"version": "three"}, {"market": "US!"}]
)
def test_the_form_refuses_what_makes_no_sense(dag, wrong):
    params = ParamsDict({name: dag.params.get_param(name) for name in dag.params})
    with pytest.raises(Exception, match=r"Invalid input|is not|less than|non-empty|too short|does not match"):
        params.update(wrong)


# ------------------------------------------------------------------ what the person is told
@pytest.fixture
def told(dag, tmp_path, monkeypatch):
    """told(…) → the text above the question, for this store."""
    store = LocalStore(tmp_path / "store")
    monkeypatch.setenv("FOUNDRY_STORE", str(tmp_path / "store"))
    asked = {"action": "approve", "model": "foundry-us-5d", "version": None, "market": "us", "changes": None}
    return store, lambda **params: dag.get_task("briefing").python_callable(asked | params)


def test_who_approves_reads_the_number_of_the_look_and_why_the_version_waited(told):
    store, text = told
    add_look(store, "a")
    add_look(store, "b")
    add_version(store, 1, "challenger", forecast="b", why="every gate passed, but it was the second look")
    assert "version 1: challenger. every gate passed, but it was the second look." in text(version=1)
    assert "Look 2 at its data" in text(version=1)
    assert "1 forecast was tested on these data before it" in text(version=1)
    assert "no verdict on version 7" in text(version=7)


def test_who_changes_a_policy_reads_old_and_new_values_and_the_number_of_looks(told):
    store, text = told
    add_look(store, "a")
    lines = text(action="policy", changes="min_auc=0.51 min_wfe=0.6").splitlines()
    later = f"counts for runs that test {built_in()['promotion_window_sessions']} sessions after 2026-01-20."
    assert lines[0] == f"- min_auc: 0.52 → 0.51, looser or another value: {later}"
    assert lines[1] == "- min_wfe: 0.4 → 0.6, counts at once."
    assert lines[2] == "- 1 forecast was tested on market us, until 2026-01-20."


@pytest.mark.parametrize("changes", ["min_acu=0.51", "min_auc", "min_auc=2"])
def test_a_change_that_cannot_be_is_refused_before_a_person_is_asked(told, changes):
    with pytest.raises(AirflowFailException, match="min_a"):
        told[1](action="policy", changes=changes)


def test_the_question_names_what_is_decided(dag):
    question = dag.get_task("approval")
    assert "ti.xcom_pull(task_ids='briefing')" in question.body
    for asked, subject in (
        ({"action": "policy", "market": "us", "changes": "min_auc=0.53"}, "policy of us: min_auc=0.53"),
        ({"action": "rollback", "model": "foundry-us-5d", "version": None}, "rollback foundry-us-5d"),
        ({"action": "approve", "model": "foundry-us-5d", "version": 3}, "approve foundry-us-5d version 3"),
    ):
        assert question.render_template(question.subject, {"params": asked}) == subject


# ------------------------------------------------------------------ assets
@pytest.fixture
def champions(load):
    return load("_champions")


def announced(champions, metrics):
    events = OutletEventAccessors()
    champions.announce({"outlet_events": events}, {"result": "store/result.json", "metrics": metrics})
    added = events[champions.CHAMPIONS].asset_alias_events
    return {event.dest_asset_key.name: (event.dest_asset_key.uri, event.extra) for event in added}


def moved(event, version=3, after=3, model="foundry-us-5d"):
    return {"model": model, "event": event, "version": version, "champion_after": after, "record": 9}


@pytest.mark.parametrize("event", ["promoted", "rolled_back"])
def test_a_champion_that_moved_is_an_event_of_its_asset(champions, event):
    uri, extra = announced(champions, {"5d": moved(event)})["foundry-us-5d"]
    assert uri == "foundry://models/us/5d"
    assert extra == {
        "model": "foundry-us-5d", "version": 3, "event": event, "record": 9, "result": "store/result.json"
    }  # fmt: skip


def test_only_the_horizons_whose_champion_moved_are_announced(champions):
    metrics = {
        "1d": moved("refused", after=2, model="foundry-us-1d"),
        "5d": moved("promoted"),
        "20d": moved("challenger", after=None, model="foundry-us-20d"),
        "10d": moved("promoted", version=2, after=3, model="foundry-us-10d"),
    }
    assert set(announced(champions, metrics)) == {"foundry-us-5d"}, "version 2 at 10 days has been replaced since"


def test_a_market_may_have_a_hyphen_less_name_of_any_length(champions):
    assert champions.champion("foundry-us_small-20d") == Asset("foundry-us_small-20d", "foundry://models/us_small/20d")


def test_the_stages_that_govern_announce_and_no_other(load):
    stages, champions = load("_stages"), load("_champions")
    for name in ("promote", "decide"):
        assert stages.stage(name).outlets == [champions.CHAMPIONS]
    assert stages.stage("gates").outlets == []


# ------------------------------------------------------------------ links
def test_links_lead_to_where_browsers_go(load, monkeypatch):
    links = load("_links")
    key = SimpleNamespace(dag_id="foundry_train", run_id="manual__1")
    monkeypatch.setattr(
        links.XCom, "get_value", lambda **_: {"metrics": {"5d": moved("refused", after=1), "1d": moved("promoted")}}
    )
    assert (links.ReportLink().get_link(None, ti_key=key), links.ModelLink().get_link(None, ti_key=key)) == ("", "")
    monkeypatch.setenv("FOUNDRY_REPORTS_URL", "http://127.0.0.1:8082/")
    monkeypatch.setenv("FOUNDRY_MLFLOW_URL", "http://127.0.0.1:5000")
    page = links.ReportLink().get_link(None, ti_key=key)
    assert page == f"http://127.0.0.1:8082/{links.page_key('foundry_train', 'manual__1', 'report.html')}"
    assert links.ModelLink().get_link(None, ti_key=key) == "http://127.0.0.1:5000/#/models/foundry-us-5d/versions/3"
