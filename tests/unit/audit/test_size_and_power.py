"""Size and power of the gates, on simulated markets with known truth."""

from functools import cache

import numpy as np
import pytest

from foundry_tasks.audit.planted_leaks import PLANTED_LEAKS
from foundry_tasks.audit.simulated_markets import signal_for, simulate
from foundry_tasks.audit.size_and_power import Outcome, kinds, small_recipe, tally, wilson_interval
from foundry_tasks.contract.config import AuditConfig
from foundry_tasks.contract.documents.audit import Quantiles
from foundry_tasks.contract.standard_portfolio import STANDARD_PORTFOLIO
from foundry_tasks.evaluation.metrics import session_auc
from foundry_tasks.features.labels import build_labels, forward_returns
from foundry_tasks.gates.registry import GATES
from foundry_tasks.walk.folds import WalkForwardValidator
from foundry_tasks.walk.study import shifted_labels, study

SEEDS = 20
CONFIG = AuditConfig(simulated_markets=SEEDS, resamples=500, threads=1)
KINDS = kinds(CONFIG)


@cache
def examined(kind, seed):
    """The outcome in one market, shared by tests that only read it."""
    return KINDS[kind](seed)


def tallied(kind, seeds=SEEDS):
    return tally(kind, [examined(kind, seed) for seed in range(seeds)])


@pytest.mark.slow(12)
def test_noise_is_promoted_in_at_most_one_of_twenty_markets():
    assert tallied("noise").promoted <= 1


@pytest.mark.slow(12)
def test_an_edge_whose_oracle_has_an_auc_of_55_is_found_in_at_least_four_of_five_markets():
    found = tallied("edge 0.55")
    assert found.promoted >= 0.8 * SEEDS
    assert found.oracle_auc == pytest.approx(0.55, abs=0.005)
    assert 0.53 < found.attained_auc < found.oracle_auc


@pytest.mark.slow(12)
def test_a_planted_edge_can_still_be_traded_at_the_next_open():
    """The opens of the market are the previous closes with a small gap."""
    figures = tallied("edge 0.55").figures
    assert figures["tradable"].q50 - 0.5 > 0.85 * (figures["auc"].q50 - 0.5)
    assert figures["earns"].q50 > STANDARD_PORTFOLIO.cost_bp


@pytest.mark.parametrize("kind", ["noise", "edge 0.55", "shifted labels", "always long"])
def test_every_market_is_judged_by_every_gate(kind):
    figures = examined(kind, 0).figures
    assert figures.keys() == GATES.keys()
    assert np.isfinite(figures["tradable"])


@pytest.mark.parametrize("shift", [0, 50])
def test_tradable_returns_are_shifted_like_the_labels(shift):
    prices, recipe = simulate(sessions=300, tickers=10, seed=1).prices, small_recipe(CONFIG)
    evidence = study(prices, recipe, shift_sessions=shift)
    tested = slice(len(prices.sessions) - len(evidence.p_up), None)
    expected = np.roll(forward_returns(prices, 1, "next_open"), shift, axis=0)[tested]
    assert evidence.trading.entry == "next_open"
    np.testing.assert_array_equal(evidence.trading.forward_return, expected)


def test_an_edge_is_not_found_in_labels_that_were_shifted_away_from_it():
    assert tallied("shifted labels", 5).promoted == 0


def test_a_model_that_is_always_long_is_refused_however_often_the_market_rises():
    found = tallied("always long", 5)
    assert (found.promoted, found.challengers) == (0, 0)
    assert found.attained_auc == 0.5


@pytest.mark.parametrize("name", PLANTED_LEAKS)
def test_a_planted_leak_is_found_and_refuses_what_would_be_promoted(name):
    assert examined("edge 0.55", 0).verdict == "passed"
    outcome = examined(f"leak: {name}", 0)
    assert outcome.leaks
    assert outcome.verdict == "refused"


@pytest.mark.parametrize("oracle_auc", [0.52, 0.53, 0.55])
def test_a_signal_gives_its_oracle_the_auc_that_was_asked_for(oracle_auc):
    market = simulate(sessions=2000, tickers=200, signal=signal_for(oracle_auc))
    up = build_labels(market.prices, 1).up
    assert np.nanmean(session_auc(market.oracle, up)) == pytest.approx(oracle_auc, abs=0.002)


def test_shifted_labels_are_those_of_another_session():
    labels = build_labels(simulate(sessions=30, tickers=5).prices, 1)
    shifted = shifted_labels(labels, 10)
    assert np.array_equal(shifted.up[10:], labels.up[:-10], equal_nan=True)
    assert np.array_equal(shifted.forward_return[:10], labels.forward_return[-10:], equal_nan=True)


def test_a_simulated_market_is_judged_without_the_stored_null_that_a_policy_asks_for():
    assert small_recipe(AuditConfig(min_null_refits=40)).policy.min_null_refits == 0


def test_three_hundred_sessions_leave_a_hundred_and_eighty_to_be_tested_on():
    folds = WalkForwardValidator(small_recipe(CONFIG).models).folds(CONFIG.market_sessions, 1)
    assert sum(len(fold.test) for fold in folds if fold.reported) == 180


def test_a_near_miss_is_counted_and_not_promoted():
    found = tally("edge", [Outcome("passed", 0.55, {"auc": 0.53}), Outcome("challenger", 0.55, {"auc": 0.51})])
    assert (found.markets, found.promoted, found.challengers) == (2, 1, 1)
    assert str(found) == "edge: 1 of 2 promoted [9%, 91%], AUC 0.520 of 0.550"


def test_a_figure_that_is_undefined_in_a_market_is_left_out_of_its_quantiles():
    outcomes = [Outcome("refused", 0.5, {"auc": 0.5, "wfe": wfe}) for wfe in (0.2, 0.4, float("nan"), 0.6)]
    found = tally("noise", outcomes).figures["wfe"]
    assert (found.q05, found.q50, found.q95) == pytest.approx((0.22, 0.4, 0.58))


def test_a_figure_that_is_undefined_in_every_market_has_no_quantiles():
    found = tally("noise", [Outcome("refused", 0.5, {"auc": float("nan")})])
    assert found.figures["auc"] == Quantiles(q05=None, q50=None, q95=None)
    assert str(found) == "noise: 0 of 1 promoted [0%, 79%], AUC nan of 0.500"


@pytest.mark.parametrize(
    ("successes", "trials", "lower", "upper"), [(0, 100, 0.0, 0.0370), (5, 100, 0.0215, 0.1118), (20, 20, 0.8389, 1.0)]
)
def test_wilsons_interval_has_its_known_values(successes, trials, lower, upper):
    assert wilson_interval(successes, trials) == pytest.approx((lower, upper), abs=5e-5)
