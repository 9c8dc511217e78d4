"""Daily runs: a champion predicts, later its predictions are scored, and stored predictions never change."""

import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from foundry_tasks.adapters.registry_mlflow import MlflowRegistry
from foundry_tasks.contract.artifacts import (
    canonical_json,
    ledger_key,
    prediction_key,
    predictions_prefix,
    result_key,
    sha256_of,
)
from foundry_tasks.contract.documents import Decision
from foundry_tasks.contract.errors import ConfigError, NothingToDo
from foundry_tasks.contract.ports import Registration
from foundry_tasks.contract.stages import PIPELINES
from foundry_tasks.data.tables import read_table
from foundry_tasks.evaluation import metrics
from foundry_tasks.ledger.chain import EvidenceLog, Ledger
from foundry_tasks.ledger.records import Entry
from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(12)

MODEL = "foundry-us-1d"
MARKET = simulated_market(sessions=330, tickers=12, seed=5, signal=0.4)
"""A market with an edge, so that P(up) is not constant."""
DAYS = [day.item() for day in MARKET.sessions.astype("datetime64[D]")]
TRAINED, LAST = 323, 328
"""Rows of the last training session and of the last daily run; one more session follows."""
DAILY_KEYS = {"horizons", "feature_set"}


def morning_after(row):
    """08:15 in New York before the next session."""
    return datetime.combine(DAYS[row + 1], datetime.min.time(), UTC) + timedelta(hours=12, minutes=15)


class Desk(Foundry):
    """An installation with daily runs on one market."""

    def known(self, row, panel=MARKET, name="market"):
        """The conf of a market whose files end with this session."""
        return write_market(self.folder / name / str(row), panel.up_to(row + 1))

    def decide(self, run_id, **conf):
        return self.stage("decide", run_id, {"model": MODEL, "who": "ann", "why": "agreed", **conf}, "foundry_promote")

    def day(self, row, stages=PIPELINES["foundry_daily"], *, run_id=None, now=None, market=None, **conf):
        """The daily run that predicts from the session in `row`."""
        conf = self.conf_of(row, market) | conf
        when = {"as_of": DAYS[row + 1] - timedelta(days=1), "now": now or morning_after(row)}
        return {name: self.stage(name, run_id or f"day {row}", conf, "foundry_daily", **when) for name in stages}

    def conf_of(self, row, market=None):
        return {key: TINY[key] for key in DAILY_KEYS} | (market or self.known(row))

    def entry(self, row, version=1):
        return json.loads(self.store.read(prediction_key("us", DAYS[row], 1, version)))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A champion that a person approved, and a week of daily runs."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.train("train", TINY | desk.known(TRAINED), until="promote")
    with pytest.raises(ConfigError, match="version 1 cannot be approved: its gates, or what followed them, refused it"):
        desk.decide("too early", action="approve", version=1)
    state = Ledger(desk.store).state(MODEL)
    near_miss = Entry(
        event="challenger",
        version=1,
        sha256=state.versions[1].sha256,
        who="test",
        when=morning_after(TRAINED),
        why="so",
    )
    Ledger(desk.store).append(MODEL, lambda _: near_miss)
    desk.decision = desk.decide("decision", action="approve", version=1)
    for row in range(TRAINED, LAST):
        desk.day(row, ("prices", "features", "predict"))
    desk.last = desk.day(LAST)
    desk.monitor = json.loads(desk.document(desk.last["monitor"], "monitor.json"))
    desk.report = json.loads(desk.document(desk.last["report"], "report.json"))
    return desk


# ------------------------------------------------------------------ decide
def test_a_decision_names_its_ledger_record(desk):
    decision = json.loads(desk.document(desk.decision, "decision.json"))
    record = Ledger(desk.store).state(MODEL).records[-1]
    assert (decision["record"], decision["hash"]) == (record.sequence, record.hash)
    assert (record.event, record.who, record.why, record.to_version) == ("promoted", "ann", "agreed", 1)
    assert desk.decision.metrics["1d"]["champion_after"] == 1


def test_a_decision_that_is_repeated_is_one_record(desk):
    again = desk.decide("decision", action="approve", version=1)
    assert again.outputs_digest == desk.decision.outputs_digest
    assert len(Ledger(desk.store).state(MODEL).records) == 4


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"model": ""}, "model must be said"),
        ({"model": "foundry-us-9d", "version": 1}, "was never registered"),
        ({}, "version must be said"),
        ({"version": 1, "who": ""}, "who must be said"),
        ({"action": "rollback", "why": " "}, "why must be said"),
        ({"action": "rollback"}, "no earlier champion"),
        ({"version": 1, "folds": 3}, "unknown config key 'folds'"),
        ({"action": "delete"}, "action='delete'"),
        ({"action": "policy"}, "changes must be said"),
        ({"action": "policy", "changes": "min_acu=0.5"}, "min_acu is no key of a policy"),
        ({"action": "policy", "changes": "min_auc=2"}, "min_auc"),
        ({"action": "policy", "changes": "min_auc 0.53"}, "changes min_auc: write it as key=value"),
        ({"action": "policy", "changes": "min_auc=0.53", "who": ""}, "who must be said"),
    ],
)
def test_a_decision_that_cannot_be_is_one_clear_line(desk, conf, said):
    with pytest.raises(ConfigError, match=said) as error:
        desk.decide("impossible", **conf)
    assert "\n" not in str(error.value)


def test_a_change_of_a_policy_is_in_decision_json_and_in_the_ledger_with_who_and_why(desk):
    asked = {"action": "policy", "market": "elsewhere", "changes": "min_auc=0.53 folds=4", "authenticated": True}
    results = [desk.decide("policy", **asked) for _ in range(2)]
    change = EvidenceLog(desk.store).state().last_change("elsewhere")
    assert (change.who, change.why, change.authenticated) == ("ann", "agreed", True)
    assert change.changes == {"min_auc": 0.53, "folds": 4}
    for result in results:
        decision = Decision.model_validate_json(desk.document(result, "decision.json"))
        assert (decision.market, decision.changes) == ("elsewhere", change.changes)
        assert (decision.policy_before, decision.policy_after) == (change.old, change.new)
        assert (decision.who, decision.authenticated, decision.hash) == ("ann", True, change.hash)
    assert results[0].metrics == {}, "no champion moved, so no event is announced"


def test_a_change_of_a_policy_that_changes_nothing_is_nothing_to_do(desk):
    with pytest.raises(NothingToDo, match="the policy of market nowhere has these values"):
        desk.decide("the same", action="policy", market="nowhere", changes="min_auc=0.52")


def test_a_training_conf_knows_no_key_of_a_decision(desk):
    with pytest.raises(ConfigError, match="unknown config key 'model'"):
        desk.stage("prices", "typo", TINY | {"model": "logistic"})


# ------------------------------------------------------------------ the ledger, every day
def test_a_sound_ledger_is_no_warning(desk):
    assert not [warning for warning in desk.last["monitor"].warnings if "ledger" in warning]


def test_a_bundle_registered_by_hand_predicts_nothing_and_is_a_warning_of_the_day(desk, tmp_path):
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(desk.document(desk.last["predict"], "versions.json"))
    strange = desk.registry.register(
        Registration(
            model=MODEL,
            bundle=bundle,
            sha256=sha256_of(bundle.read_bytes()),
            horizon=1,
            features=("f",),
            example=[{"date": "2022-12-28", "ticker": "A", "f": 1.0}],
            evidence={},
        )
    )
    try:
        desk.registry.set_alias(MODEL, "champion", strange.version)
        results = desk.day(LAST, run_id="by hand")
    finally:
        desk.registry.set_alias(MODEL, "champion", 1)
        desk.registry.delete(strange)
    predictor = json.loads(desk.document(results["predict"], "predictions.json"))["per_horizon"]["1"]
    assert (predictor["kind"], predictor["version"]) == ("champion", 1)
    told = desk.document(results["report"], "report.md").decode()
    for fault in (f"version {strange.version} is in the registry but in no record", "the ledger says version 1"):
        assert any(fault in warning for warning in results["monitor"].warnings), results["monitor"].warnings
        assert fault in told


def test_a_rewritten_look_is_a_warning_of_the_day(desk):
    key = ledger_key("evidence", 1)
    kept = desk.store.read(key)
    try:
        desk.store.write(key, canonical_json({**json.loads(kept), "market": "elsewhere"}))
        result = desk.stage("monitor", f"day {LAST}", desk.conf_of(LAST), "foundry_daily")
    finally:
        desk.store.write(key, kept)
    assert any("altered" in warning for warning in result.warnings), result.warnings


def test_an_mlflow_that_does_not_answer_stops_no_monitoring(desk):
    away = Desk(desk.folder)
    away.registry = MlflowRegistry("http://127.0.0.1:9", "")
    result = away.stage("monitor", f"day {LAST}", desk.conf_of(LAST), "foundry_daily")
    assert any("was not compared with MLflow" in warning for warning in result.warnings), result.warnings


# ------------------------------------------------------------------ what was said
def test_every_prediction_is_in_the_index_once_with_who_said_it_and_when(desk):
    days = [key.split("/")[2] for key in desk.store.keys(predictions_prefix("us"))]
    assert days == [DAYS[row].isoformat() for row in range(TRAINED, LAST + 1)]
    entry = desk.entry(LAST)
    assert (entry["kind"], entry["version"], entry["fitted_until"]) == ("champion", 1, DAYS[TRAINED].isoformat())
    assert entry["made_at"] == morning_after(LAST).isoformat(timespec="seconds")
    assert entry["predictions"] == desk.last["predict"].outputs["predictions.parquet"].sha256


def test_a_run_that_is_repeated_on_other_prices_does_not_rewrite_history(desk):
    before = desk.entry(LAST)
    market = desk.known(LAST, simulated_market(sessions=330, tickers=12, seed=6, signal=0.4), "other")
    later = datetime(2026, 8, 1, tzinfo=UTC)
    again = desk.day(LAST, ("prices", "features", "predict"), run_id="again", now=later, market=market)
    assert again["predict"].outputs["predictions.parquet"].sha256 != before["predictions"]
    assert desk.entry(LAST) == before


# ------------------------------------------------------------------ what became of it
def test_matured_predictions_are_scored_and_the_last_one_waits(desk):
    live = desk.monitor["horizons"]["1"]["live"]
    assert (live["sessions"], live["waiting"], live["late"], live["fitted_on"]) == (5, 1, 0, 0)
    assert (live["first"], live["last"]) == (DAYS[TRAINED].isoformat(), DAYS[LAST - 1].isoformat())
    assert live["versions"] == {"champion 1": 5}


def test_the_figures_follow_from_what_was_said_and_what_came(desk):
    close = MARKET.fields["close"]
    said = []
    for row in range(TRAINED, LAST):
        table = read_table(desk.store.object_path(desk.entry(row)["predictions"]))
        order = np.argsort(table["ticker"].astype(str))
        said.append(table["p_up"][order])
    p_up = np.array(said)
    up = (close[TRAINED + 1 : LAST + 1] > close[TRAINED:LAST]).astype(float)
    assert len(np.unique(p_up)) == p_up.size
    live = desk.monitor["horizons"]["1"]["live"]
    assert live["brier"]["value"] == pytest.approx(np.mean((p_up - up) ** 2))
    assert live["auc"]["value"] == pytest.approx(np.nanmean(metrics.session_auc(p_up, up)))
    assert live["hit_rate"]["value"] == pytest.approx(np.mean((p_up > 0.5) == (up > 0.5)))


def test_a_prediction_made_after_the_fact_is_told(desk):
    key = prediction_key("us", DAYS[LAST - 1], 1, 1)
    kept = desk.store.read(key)
    late = json.loads(kept) | {"made_at": morning_after(LAST).isoformat()}
    desk.store.write(key, canonical_json(late))
    try:
        found = desk.day(LAST, ("monitor",))["monitor"]
        assert json.loads(desk.document(found, "monitor.json"))["horizons"]["1"]["live"]["late"] == 1
    finally:
        desk.store.write(key, kept)


def test_a_damaged_prediction_is_named_and_not_left_out(desk):
    key = prediction_key("us", DAYS[LAST - 1], 1, 1)
    kept = desk.store.read(key)
    desk.store.write(key, b'{"kind": "champion"}')
    try:
        with pytest.raises(ConfigError, match=r"1d-version1\.json is damaged"):
            desk.day(LAST, ("monitor",))
    finally:
        desk.store.write(key, kept)


def test_drift_is_measured_for_every_feature_that_the_champion_eats(desk):
    versions = json.loads(desk.document(desk.last["predict"], "versions.json"))["horizons"]
    drift = desk.monitor["horizons"]["1"]["drift"]
    assert {row["feature"] for row in drift["features"]} == set(versions["1"]["features"])
    assert all(row["psi"] >= 0 for row in drift["features"])


def test_a_market_that_became_another_one_is_warned_of(desk):
    wild = simulated_market(sessions=330, tickers=12, seed=5, signal=0.4)
    close = wild.fields["close"].copy()
    shock = np.random.default_rng(1).normal(0, 0.12, (40, 12))
    for name in ("open", "high", "low", "close"):
        wild.fields[name][LAST - 39 : LAST + 1] *= np.exp(np.cumsum(shock, axis=0))
    wild.fields["high"][:] = np.maximum.reduce([wild.fields[name] for name in ("open", "high", "low", "close")])
    wild.fields["low"][:] = np.minimum.reduce([wild.fields[name] for name in ("open", "high", "low", "close")])
    assert not np.array_equal(close, wild.fields["close"])
    stages, market = ("prices", "features", "predict", "monitor"), desk.known(LAST, wild, "wild")
    warned = desk.day(LAST, stages, run_id="wild", market=market, drift_sessions=40)["monitor"].warnings
    assert any(line.startswith("drift: ") and "above PSI 0.25" in line for line in warned)


def test_what_a_version_was_fitted_on_is_counted_once_and_kept(desk):
    kept = {key: desk.store.read(key) for key in desk.store.keys("reuse/monitor/")}
    again = desk.day(LAST, ("monitor",))["monitor"]
    assert again.outputs_digest == desk.last["monitor"].outputs_digest
    assert {key: desk.store.read(key) for key in desk.store.keys("reuse/monitor/")} == kept
    assert kept


def test_drift_is_not_measured_once_the_training_runs_features_are_gone(desk):
    key = result_key("foundry_train", "train", "features", None)
    kept = desk.store.read(key)
    desk.store.delete(key)
    try:
        found = desk.day(LAST, ("monitor", "report"), drift_sessions=41)
    finally:
        desk.store.write(key, kept)
        desk.day(LAST, ("monitor", "report"))
    assert any(line.startswith("1d: drift is not measured: stage 'features'") for line in found["monitor"].warnings)
    page = desk.document(found["report"], "report.md").decode()
    assert "drift: not measured" in page


def test_the_report_shows_it_as_page_text_and_data(desk):
    live = desk.report["live"]["horizons"]["1"]["live"]
    assert live["brier"] == desk.monitor["horizons"]["1"]["live"]["brier"]
    page = desk.document(desk.last["report"], "report.html").decode()
    text = desk.document(desk.last["report"], "report.md").decode()
    assert "<h2>Live</h2>" in page
    assert "1 waiting for their labels" in page
    assert "## Live: predictions whose labels have matured" in text
    assert f"| {live['auc']['value']:.4f} |" in text


# ------------------------------------------------------------------ closed
SATURDAY = date(2026, 6, 20)
CLOSED_ROW = DAYS.index(date(2026, 6, 18))
"""The previous session: the 19th is a holiday."""


def closed(desk, **conf):
    conf = {"horizons": [1], "skip_closed": True} | desk.known(CLOSED_ROW) | conf
    return desk.stage("prices", "closed", conf, "foundry_daily", as_of=SATURDAY - timedelta(days=1))


def test_on_a_day_without_a_session_there_is_nothing_to_do(desk):
    with pytest.raises(NothingToDo, match="2026-06-20 is no session of XNYS: the market is closed"):
        closed(desk)


def test_prices_that_end_long_before_are_no_market_that_could_be_closed(desk):
    assert closed(desk, end="2026-06-10").as_of == date(2026, 6, 10)


def test_a_training_run_does_not_mind(desk):
    assert closed(desk, skip_closed=False).as_of == date(2026, 6, 18)
