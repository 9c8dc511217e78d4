"""The report's document: a whole or partial run as JSON."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.documents import Interval, Monitor, Report
from foundry_tasks.contract.documents.monitor import (
    DriftedFeature,
    FeatureDrift,
    LiveFigures,
    MonitoredHorizon,
    MonitorSettings,
)
from foundry_tasks.contract.documents.report import AbsentStage, StageWarning
from foundry_tasks.contract.stage_io import Code


def walk(value: Any):
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(item)


def test_every_gate_of_every_horizon_is_in_the_document(document, market):
    judged = market.gates().horizons
    found = {horizon: [gate.name for gate in gates] for horizon, gates in document.gates.items()}
    assert found == {horizon: [gate.name for gate in item.gates] for horizon, item in judged.items()}


def test_nothing_in_the_document_is_not_a_number(document):
    assert all(math.isfinite(value) for value in walk(document) if isinstance(value, float))


def test_horizons_stand_in_the_order_of_their_length(document):
    assert [item.horizon for item in document.status.horizons] == [1, 5, 20]
    assert document.predictions.horizons == (1, 5, 20)


def test_a_refusal_is_given_with_its_reason(document):
    refused = document.status.horizons[2]
    assert refused.verdict == "refused"
    assert "too few independent blocks" in refused.reasons[0]


def test_the_headline_says_the_best_news_first(document):
    assert document.status.headline == "Passed: 1 and 5 days (ranks and can be traded). Refused: 20 days."


def test_series_cover_every_reported_test_session(document, market):
    evidence = document.evidence[5]
    assert len(evidence.sessions) == len(evidence.auc) == 400
    assert evidence.fold_stops == (80, 160, 240, 320, 400)
    assert evidence.sessions[0] == str(market.sessions[160])


def test_an_entry_without_prices_is_left_out(document):
    assert list(document.evidence[1].cumulative_rank_ic) == ["close", "next_close"]


def test_the_best_and_the_worst_tickers_are_listed_from_the_ends(document):
    predictions = document.predictions
    top, bottom = ([entry.mean_p_up for entry in end] for end in (predictions.top, predictions.bottom))
    assert len(top) == len(bottom) == 5
    assert top == sorted(top, reverse=True)
    assert bottom == sorted(bottom)
    assert top[-1] >= bottom[-1]


def test_few_tickers_are_never_both_top_and_bottom(new_run, market, publish):
    run = new_run()
    publish(run, market)
    run.report(top=20)
    predictions = run.document().predictions
    listed = [entry.ticker for end in (predictions.top, predictions.bottom) for entry in end]
    assert len(listed) == len(set(listed)) == 24


def test_importance_of_mapped_models_is_merged(document):
    first = document.models[1].importance[0]
    assert (first.feature, first.gain, sorted(first.by_model)) == ("ret_1d", 0.7, ["lightgbm", "logistic"])


def test_warnings_carry_the_name_of_their_stage(document):
    assert StageWarning(stage="prices", text="T07 has one bar outside [low, high]") in document.warnings


def test_a_run_whose_code_changed_on_the_way_says_so(new_run):
    run = new_run()
    for stage, version in (("prices", "0.1+old"), ("features", "0.1+new")):
        io = run.io(stage)
        run.finish(replace(io, environment=replace(io.environment, code=Code(version))))
    run.report()
    (warning,) = run.document().warnings
    assert warning.text.startswith("2 versions of the code")


def test_data_docs_are_linked_relative_to_the_report(document):
    assert [(docs.suite, docs.href) for docs in document.links.data_docs] == [("prices", "data_docs/prices/index.html")]


def test_data_docs_of_a_reused_stage_are_found_with_the_run_that_made_them(new_run, market, publish):
    first, second = new_run(run_id="first"), new_run(run_id="second")
    publish(first, market, until="gates")
    io = second.io("prices")
    second.finish(io, reused_from="first")
    second.report()
    (docs,) = second.document().links.data_docs
    assert docs.href.startswith("../../foundry_train/first-")
    assert second.document().stages[0].reused_from == "first"


def test_validation_only_says_what_did_not_run(new_run, market, publish):
    run = new_run()
    publish(run, market, until="gates", gates=market.gates().model_copy(update={"validate_only": True}))
    run.report()
    document = run.document()
    assert [item.stage for item in document.absent] == ["refit", "promote", "predict"]
    assert document.predictions is None
    assert document.status.consequence.startswith("Validation only")


def test_the_run_log_knows_why_a_stage_published_nothing(new_run):
    run = new_run(dag="foundry_daily")
    line = {"stage": "prices", "timestamp": "2024-01-01", "status": "ok", "warnings": ["the market is closed."]}
    run.store.append(artifacts.run_log_key(run.dag, run.run_id), artifacts.canonical_json(line))
    run.report()
    assert AbsentStage(stage="prices", why="the market is closed") in run.document().absent


def test_skipped_gates_are_said_on_top(new_run, market, publish):
    run, gates = new_run(), market.gates()
    skipped = {horizon: item.model_copy(update={"verdict": "skipped"}) for horizon, item in gates.horizons.items()}
    publish(run, market, gates=gates.model_copy(update={"horizons": skipped}))
    run.report()
    assert run.document().status.headline == "Gates skipped at every horizon."


def test_a_leak_is_named_as_the_reason(new_run, market, publish):
    run = new_run()
    publish(run, market, gates=market.gates(leaks=("feature tomorrow knows tomorrow",)))
    run.report()
    assert "Leakage audit: feature tomorrow knows tomorrow" in run.document().status.horizons[0].reasons


@pytest.mark.parametrize(
    ("dag", "headline"),
    [("foundry_train", "No model was judged in this run."), ("foundry_daily", "Predictions, and no verdict.")],
)
def test_a_run_of_which_nothing_is_there_still_has_a_report(new_run, dag, headline):
    run = new_run(dag=dag)
    io = run.report()
    document = run.document()
    assert document.status.headline == headline
    assert document.absent
    assert io.outputs.metrics["page"].endswith("report.html")


def test_a_daily_run_is_predictions_and_says_why_there_is_no_verdict(new_run, market):
    run = new_run(dag="foundry_daily")
    run.publish_predictions()
    run.report()
    document = run.document()
    assert document.status.consequence == "foundry_daily judges no model. Shadow at 1 day, 5 days and 20 days."
    assert document.predictions.tickers == 24


def test_the_same_run_gives_the_same_document(new_run, market, publish):
    run = new_run()
    publish(run, market, until="gates")
    run.report()
    first = run.document()
    run.report()
    assert first == run.document()


def test_the_live_section_shows_the_features_that_have_drifted_most(new_run):
    run = new_run(dag="foundry_daily")
    none = Interval(value=None)
    live = LiveFigures(
        sessions=0, rows=0, first=None, last=None, versions={}, late=0, waiting=2, fitted_on=0, auc=none, hit_rate=none,
        base_rate=None, brier=none, brier_base_rate=none,
    )  # fmt: skip
    features = tuple(DriftedFeature(feature=f"f{n}", psi=1 / (n + 1), usual=float("nan")) for n in range(12))
    drift = FeatureDrift(features=features, beyond=("f0",), above=3)
    asked = MonitorSettings(live_sessions=250, drift_sessions=60, max_psi=0.25, min_live_auc_lower=0.5)
    io = run.io("monitor")
    io.publish(Monitor(horizons={5: MonitoredHorizon(version=2, live=live, drift=drift)}, asked=asked))
    run.finish(io)
    run.report()
    found = run.document().live.horizons[5]
    assert (found.version, found.live, found.drift.measured, found.drift.above) == (2, live, 12, 3)
    assert found.drift.features == features[:8]
    assert found.drift.features[0].usual is None
    page = run.page("report.html")
    assert "No prediction has matured yet; 2 waiting for their labels." in page
    assert "3 of 12 features have a psi above 0.25" in page.lower()


def test_a_report_of_version_0_2_is_read(document):
    """Version 0.2 wrote a horizon's number as text."""
    old = json.loads(document.model_dump_json())
    for item in old["status"]["horizons"]:
        item["horizon"] = str(item["horizon"])
    assert Report.model_validate_json(json.dumps(old)) == document
