"""Noise is not promoted without a person, whatever its user tries."""

import numpy as np
import pytest

from foundry_tasks.contract.config import AuditConfig
from foundry_tasks.contract.documents.audit import AdversaryTally
from foundry_tasks.ledger.adversaries import BAR, BUDGET, STRATEGIES, Plan, Strategy, Try, adversaries, tried

CONFIG = AuditConfig()
SIMULATIONS = 1000

BREACHED = {
    "window shopper": "sessions that earlier looks left out count as new, so the best of 49 looks at the rest promotes",
}
"""Kind → why the rules let more than the bar through."""


@pytest.mark.slow(90)
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.xfail(reason=BREACHED[kind], strict=True)] if kind in BREACHED else [])
        for kind in STRATEGIES
    ],
)
def test_noise_is_promoted_without_a_person_in_at_most_one_of_twenty(kind):
    found = adversaries(CONFIG)[kind]()
    assert (found.simulations, found.tries) == (SIMULATIONS, BUDGET)
    assert found.promoted <= BAR * SIMULATIONS, str(found)


@pytest.mark.slow(8)
@pytest.mark.parametrize("kind", ["retune", "reseed", "validate-only peeker"])
def test_the_same_adversary_wins_often_where_every_look_may_promote(kind):
    config = AuditConfig(simulated_markets=5, promotion_window_sessions=0)
    assert tried(kind, STRATEGIES[kind], config).share > 3 * BAR


@pytest.mark.slow(10)
@pytest.mark.xfail(
    reason="a run's tested sessions are compared with the looks' alone, not with the day of the looks", strict=True
)
@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(
            Strategy(0.5, lambda _: [Try(k, until=20, promotes=False) for k in range(49)], last=Try(0)),
            id="peeks at a file that ends earlier",
        ),
        pytest.param(
            Strategy(0.5, lambda _: [Try(k, until=240 - 20 * k) for k in range(13)]),
            id="a file that grows by 20 sessions at each try",
        ),
        pytest.param(
            Strategy(0.5, lambda _: [Try(k, tickers=(3 * k, 3 * k + 3)) for k in range(4)]),
            id="other tickers of the market at each try",
        ),
    ],
)
def test_a_file_of_its_own_making_gives_an_adversary_no_second_look(strategy):
    looked = Plan(strategy, CONFIG)
    alone = [one for one in looked.tries if one.hopeful]
    assert len(alone) == 1
    assert tried("own file", strategy, AuditConfig(simulated_markets=5)).share <= 2 * BAR


@pytest.mark.parametrize("kind", STRATEGIES)
def test_at_most_the_first_look_of_a_plan_can_promote_by_itself(kind):
    tries = Plan(STRATEGIES[kind], CONFIG, 1).tries
    first = {tries[0].one.forecast(horizon) for horizon in tries[0].one.horizons}
    hopeful = {looked.one.forecast(horizon) for looked in tries for horizon in looked.hopeful}
    assert hopeful <= first


@pytest.mark.parametrize("kind", STRATEGIES)
def test_an_adversary_keeps_its_budget(kind):
    strategy = STRATEGIES[kind]
    tries = strategy.tries(np.random.default_rng(3))
    assert len(tries) + (strategy.last is not None) == BUDGET


def test_a_tally_says_how_often_and_how_certain():
    found = AdversaryTally(kind="reseed", tries=50, simulations=1000, promoted=29, lower=0.0203, upper=0.0414, bar=0.05)
    assert str(found) == (
        "reseed, 50 tries on noise: promoted without a person in 29 of 1000, 2.9% [2.0%, 4.1%], bar 5%"
    )
