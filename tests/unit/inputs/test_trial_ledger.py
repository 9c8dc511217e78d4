"""The trial ledger: what counts as a trial, and what is not counted twice."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.__main__ import main
from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import trial_key
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.evaluation.standard_portfolio import DailyPnl
from foundry_tasks.inputs.trial_ledger import Trial, TrialLedger, distinct, show

WHAT = {"scores": "stack", "seeds": 3, "walk": "anchored"}


def trial(what=WHAT, *, n_sessions=30, seed=0, horizon=1, code="0.1+aaa", **found):
    pnl = np.random.default_rng(seed).normal(0.001, 0.01, n_sessions)
    daily = DailyPnl(np.datetime64("2024-01-02") + np.arange(n_sessions), pnl)
    found = {"run": "foundry_train/first", "recorded": "2026-01-02T00:00:00+00:00"} | found
    return Trial(what, horizon, daily, code, **found)


OLD_KEY = "trials/us/4b3ddbbc12d1064128ad24c0d70e04ff4bcd190ab1655196af8ce32274e4e0cb.json"
OLD = (
    b'{"code":"0.2+abc","horizon":5,"pnl":[0.0,0.0123456789,-0.004],"recorded":"2026-01-02T00:00:00+00:00",'
    b'"run":"foundry_train/first","sessions":["2024-01-02","2024-01-03","2024-01-04"],"sharpe":0.32649279259470915,'
    b'"what":{"capital":1000000.0,"early_stopping":false,"end":null,"models":["logistic","lightgbm"],"scores":"stack",'
    b'"seeds":3,"walk":"anchored"}}'
)
"""A trial in the form of version 0.2."""


@pytest.fixture
def ledger(tmp_path):
    return TrialLedger(LocalStore(tmp_path / "store"))


def n_distinct(ledger):
    return len(distinct(ledger.read("us")))


def test_a_trial_is_read_back_as_it_was_written(ledger):
    ledger.record("us", trial())
    (found,) = ledger.read("us")
    assert found.what == WHAT
    assert (found.horizon, found.code, found.run, found.recorded) == (
        1,
        "0.1+aaa",
        "foundry_train/first",
        trial().recorded,
    )
    assert (found.daily.sessions == trial().daily.sessions).all()
    np.testing.assert_allclose(found.daily.pnl, trial().daily.pnl, atol=1e-10)
    assert found.digest == trial().digest


def test_a_trial_of_an_earlier_version_is_found_under_its_key_and_counts_once(ledger):
    ledger.store.write(OLD_KEY, OLD)
    (found,) = ledger.read("us")
    assert trial_key("us", found.digest) == OLD_KEY
    assert found.document() == OLD
    assert not ledger.record("us", replace(found, run="foundry_train/second", code="0.3+def"))


def test_the_same_run_repeated_adds_nothing_and_the_first_keeps_its_name(ledger):
    assert ledger.record("us", trial())
    assert not ledger.record("us", trial(run="foundry_train/second", recorded="2026-01-03T00:00:00+00:00"))
    assert [found.run for found in ledger.read("us")] == ["foundry_train/first"]


def test_an_edit_of_the_code_that_changes_no_pnl_adds_nothing(ledger):
    ledger.record("us", trial())
    assert not ledger.record("us", trial(code="0.1+bbb"))


def test_an_edit_of_the_code_that_changes_the_pnl_is_another_trial(ledger):
    ledger.record("us", trial())
    ledger.record("us", trial(code="0.1+bbb", seed=1))
    assert n_distinct(ledger) == 2


@pytest.mark.parametrize("changed", [{"seeds": 5}, {"walk": "rolling"}, {"min_auc": 0.53}, {"scores": "logistic"}])
def test_another_configuration_is_another_trial_even_where_it_earned_the_same(ledger, changed):
    ledger.record("us", trial())
    ledger.record("us", trial(WHAT | changed))
    assert n_distinct(ledger) == 2


def test_another_horizon_is_another_trial(ledger):
    ledger.record("us", trial())
    ledger.record("us", trial(horizon=5))
    assert n_distinct(ledger) == 2


def test_the_same_trial_on_more_sessions_counts_once_with_its_newest_pnl(ledger):
    ledger.record("us", trial(n_sessions=31, recorded="2026-01-02T00:00:00+00:00"))
    ledger.record("us", trial(n_sessions=30, recorded="2026-01-03T00:00:00+00:00"))
    assert len(ledger.read("us")) == 2
    (newest,) = distinct(ledger.read("us"))
    assert len(newest.daily.pnl) == 31


def test_markets_do_not_count_for_each_other(ledger):
    ledger.record("us", trial())
    ledger.record("simulated", trial(horizon=5))
    assert n_distinct(ledger) == 1
    assert ledger.markets() == ("simulated", "us")


def test_a_damaged_trial_is_named_instead_of_not_counted(ledger):
    ledger.record("us", trial())
    ledger.store.write(trial_key("us", trial().digest), b'{"what": {}}')
    with pytest.raises(ConfigError, match="is damaged"):
        ledger.read("us")


def test_the_digest_does_not_move_with_the_last_bit_of_a_product():
    nudged = replace(trial().daily, pnl=trial().daily.pnl * (1 + 1e-14))
    assert replace(trial(), daily=nudged).digest == trial().digest


def test_trials_are_shown_with_their_sharpe_ratio_and_their_number(ledger):
    ledger.record("us", trial())
    ledger.record("us", trial(horizon=5, seed=4, recorded="2026-01-03T00:00:00+00:00"))
    rows = show(ledger.store, "us")
    assert [(row.n, row.horizon) for row in rows] == [(1, 1), (2, 5)]
    pnl = trial().daily.pnl
    assert rows[0].sharpe_per_session == pytest.approx(pnl.mean() / pnl.std(ddof=1), abs=1e-4)


def test_a_market_without_trials_is_said_to_have_none(ledger):
    with pytest.raises(ConfigError, match="no trial was ever made on market 'eu'"):
        show(ledger.store, "eu")


def test_foundry_trials_prints_a_line_of_json_a_trial(ledger, tmp_path, monkeypatch, capsys):
    ledger.record("us", trial())
    monkeypatch.setenv("FOUNDRY_STORE", str(tmp_path / "store"))
    assert main(["trials"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["digest"] == trial().digest[:12]


def test_who_stops_reading_a_list_sees_no_traceback(ledger, tmp_path):
    ledger.record("us", trial())
    environment = os.environ | {"FOUNDRY_STORE": str(tmp_path / "store")}
    command = [sys.executable, "-m", "foundry_tasks", "trials", "us"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE
