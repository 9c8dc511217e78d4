"""A whole foundry_backtest: real stages on a market with a planted edge, from prices to the report of its earnings."""

import csv
import io
import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.__main__ import main
from foundry_tasks.contract.artifacts import checkpoint_prefix, page_key
from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.stages import PIPELINES
from foundry_tasks.data.tables import read_matrices, read_prices, read_table
from foundry_tasks.inputs.trial_ledger import TrialLedger, distinct
from foundry_tasks.inputs.trials_of_run import TRADED
from foundry_tasks.ledger.chain import Ledger
from foundry_tasks.runtime.progress import PlainProgress
from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(12)

DAG, RUN = "foundry_backtest", "manual__2026-07-01T12:00:00+00:00"
STAGES = PIPELINES[DAG]
SEVERAL = {"horizons": [1, 5], "folds": 3, "test_sessions": 60, "names_a_side": 4, "impact": "square_root"}


def run_stages(foundry, conf, stages=STAGES, run_id=RUN):
    return {name: foundry.stage(name, run_id, conf, DAG) for name in stages}


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    market = simulated_market(sessions=420, tickers=16, seed=5, signal=0.3)
    return TINY | write_market(tmp_path_factory.mktemp("market"), market) | SEVERAL


@pytest.fixture(scope="module")
def backtest(conf, tmp_path_factory):
    """(foundry, results) of a whole run."""
    foundry = Foundry(tmp_path_factory.mktemp("backtest"))
    return foundry, run_stages(foundry, conf)


def portfolio_of(foundry, results):
    return json.loads(foundry.document(results["portfolio"], "portfolio.json"))


def test_the_report_says_what_it_earned_and_where_every_trade_is(backtest):
    foundry, results = backtest
    document = json.loads(foundry.document(results["report"], "report.json"))
    assert document["absent"] == []
    assert document["portfolio"]["replay"]["agrees"]
    page = foundry.store.read(page_key(DAG, RUN, "report.html")).decode()
    for horizon, item in document["portfolio"]["horizons"].items():
        assert item["said"] in page
        rows = list(csv.DictReader(io.StringIO(foundry.store.read(page_key(DAG, RUN, item["trades_page"])).decode())))
        assert len(rows) == item["trades"] > 100, horizon
        assert all(row["decided"] < row["executed"] for row in rows)


def test_every_way_to_trade_the_same_forecasts_is_a_trial(backtest, conf):
    foundry, _ = backtest

    def trials():
        return [trial for trial in distinct(TrialLedger(foundry.store).read("us")) if trial.what["scores"] == TRADED]

    assert sorted(trial.horizon for trial in trials()) == [1, 5]
    foundry.stage("portfolio", RUN, conf | {"sizing": "long_short"}, DAG)
    assert sorted(trial.horizon for trial in trials()) == [1, 1, 5, 5]
    foundry.stage("portfolio", RUN, conf, DAG)
    assert len(trials()) == 4
    assert {trial.what["sizing"] for trial in trials()} == {"top_bottom", "long_short"}


def test_a_planted_edge_is_earned_and_a_later_entry_loses_it(backtest):
    found = portfolio_of(*backtest)["horizons"]["1"]
    assert found["net_bp"]["lower"] > 0
    free = {
        (cell["entry"], cell["holding_sessions"]): cell["value"]
        for cell in found["ladder"]["cells"]
        if not cell["cost_bp"]
    }
    assert free["next_open", 1] > 2 * free["next_close", 1]


def test_the_simulation_steps_to_the_same_figures(backtest):
    foundry, results = backtest
    found = json.loads(foundry.document(results["simulate"], "simulate.json"))
    assert all(item["value"] <= 1e-9 and item["sessions"] == 179 for item in found["horizons"].values())
    assert results["simulate"].warnings == []


def test_only_forecasts_of_reported_tests_are_traded(backtest):
    foundry, results = backtest
    folds = json.loads(foundry.document(results["models"], "folds.json"))["horizons"]["5"]
    first = next(fold["test"]["start"] for fold in folds if fold["number"] == 1)
    object_of = {name: foundry.store.object_path(item.sha256) for name, item in results["portfolio"].outputs.items()}
    signals = read_matrices(object_of["5d/signals.parquet"])
    prices = read_prices(foundry.store.object_path(results["prices"].outputs["prices.parquet"].sha256))
    assert signals.sessions[0] == prices.sessions[first]
    assert len(signals.sessions) == 3 * 60
    assert read_table(object_of["5d/daily.parquet"])["date"][0] == prices.sessions[first + 1]
    np.testing.assert_array_less(np.abs(signals["weight"]).sum(axis=1), 1 + 1e-9)


def test_nothing_is_registered(backtest):
    foundry, _ = backtest
    assert Ledger(foundry.store).state("foundry-us-1d").versions == {}


def test_the_same_work_done_twice_gives_the_same_bytes(backtest, conf, tmp_path):
    _, first = backtest
    again = run_stages(Foundry(tmp_path), conf, STAGES[: STAGES.index("report")])
    assert {name: result.outputs_digest for name, result in again.items()} == {
        name: first[name].outputs_digest for name in again
    }


def test_other_rules_reuse_the_forecasts(backtest, conf):
    foundry, first = backtest
    before_report = STAGES[: STAGES.index("report")]
    dear = run_stages(foundry, conf | {"half_spread_bp": 20.0, "max_turnover": 0.2}, before_report, "dear")
    assert dear["ensemble"].reused_from == RUN
    cheap, costly = (portfolio_of(foundry, results)["horizons"]["1"] for results in (first, dear))
    assert costly["figures"]["mean_turnover"] <= 0.2 + 1e-9 < cheap["figures"]["mean_turnover"]
    assert all(item["agrees"] for item in dear["simulate"].metrics.values())


def test_fitted_anew_on_the_folds_schedule_from_what_there_was_it_forecasts_what_the_folds_did(backtest, conf):
    """Every value that the walk used was known at that close, from the features to the calibrator."""
    foundry, _ = backtest
    stages = STAGES[: STAGES.index("report")]
    results = run_stages(foundry, conf | {"retrain_sessions": conf["test_sessions"]}, stages, "again")
    found = json.loads(foundry.document(results["simulate"], "simulate.json"))["horizons"]
    assert results["portfolio"].reused_from == RUN
    for horizon, item in found.items():
        assert item["retrained"]["as_the_folds"]
        assert item["retrained"]["forecasts_apart"] <= 1e-9, horizon
        portfolio = portfolio_of(foundry, results)["horizons"][horizon]
        assert item["retrained"]["net_bp"] == pytest.approx(portfolio["net_bp"]["value"], abs=1e-9)
    assert all(item["agrees"] for item in results["simulate"].metrics.values())


# ------------------------------------------------------------------ what the prices lack
@pytest.fixture(scope="module")
def closes_alone(conf, tmp_path_factory):
    """(foundry, conf) of a run up to the stage ensemble, on prices without open and volume."""
    market = simulated_market(sessions=420, tickers=16, seed=5, signal=0.3)
    folder = tmp_path_factory.mktemp("closes")
    closes = replace(market, fields={"close": market.fields["close"]})
    conf = conf | write_market(folder / "market", closes) | {"impact": "none", "horizons": [1]}
    foundry = Foundry(folder)
    run_stages(foundry, conf, STAGES[: STAGES.index("ensemble") + 1])
    return foundry, conf


def test_without_opens_trades_are_at_the_next_close_and_that_is_said(closes_alone):
    foundry, conf = closes_alone
    result = foundry.stage("portfolio", RUN, conf, DAG)
    assert result.warnings == ["the prices hold no open: decisions at the close of t are traded at the close of t+1"]
    found = json.loads(foundry.document(result, "portfolio.json"))
    assert found["rules"]["entry"] == "next_close"
    assert found["horizons"]["1"]["ladder"]["absent"] == ["next_open: the prices hold no open"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"entry": "next_open"}, "the prices hold no open"), ({"impact": "square_root"}, "needs volume")],
)
def test_what_is_asked_for_and_the_prices_lack_is_one_clear_line(closes_alone, asked, said):
    foundry, conf = closes_alone
    with pytest.raises(ConfigError, match=said) as raised:
        foundry.stage("portfolio", RUN, conf | asked, DAG)
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------ killed
KILLED = """
import json, os, pathlib, signal, sys
from foundry_tasks.runtime.progress import PlainProgress
from tests.e2e.foundry_here import Foundry

class Killed(PlainProgress):
    left = 3

    def advance(self, note=""):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)

folder, run_id, conf, dag = sys.argv[1:]
Foundry(pathlib.Path(folder)).stage("simulate", run_id, json.loads(conf), dag, progress=Killed())
"""
"""Kills its process with SIGKILL at the third step of the simulation."""


class Counting(PlainProgress):
    """A Progress that records its calls."""

    def __init__(self):
        self.notes = []

    def advance(self, note=""):
        self.notes.append(note)


def test_a_simulation_that_was_killed_goes_on_where_it_was(backtest, conf, tmp_path):
    _, first = backtest
    foundry = Foundry(tmp_path)
    run_stages(foundry, conf, STAGES[: STAGES.index("simulate")])
    command = [sys.executable, "-c", KILLED, str(tmp_path), RUN, json.dumps(conf), DAG]
    killed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(foundry.store.keys(checkpoint_prefix("simulate", "")))) == 1
    second = Counting()
    result = foundry.stage("simulate", RUN, conf, DAG, progress=second)
    assert second.notes[0] == "400 of 420 sessions", "three hundred were kept"
    assert result.outputs_digest == first["simulate"].outputs_digest


# ------------------------------------------------------------------ the command
@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"sizing": "all_in"}, "sizing='all_in'"),
        ({"comission_bp": 1}, "unknown config key 'comission_bp'"),
        ({"entry": "same_close"}, "entry='same_close'"),
        ({"holding_sessions": 0, "folds": 1}, "holding_sessions=0"),
    ],
)
def test_a_bad_conf_is_one_clear_line_before_anything_starts(tmp_path, monkeypatch, capsys, conf, said):
    monkeypatch.setenv("FOUNDRY_STORE", str(tmp_path / "store"))
    file = tmp_path / "file.json"
    file.write_text(json.dumps(conf))
    assert main(["backtest", "--conf", str(file)]) == 10
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert said in told
    assert not (tmp_path / "store" / "runs").exists()


def test_the_first_stage_of_a_run_refuses_what_only_a_later_one_would_trip_over(conf, tmp_path):
    with pytest.raises(ConfigError, match="max_turnover=-1"):
        Foundry(tmp_path).stage("prices", RUN, conf | {"max_turnover": -1}, DAG)
