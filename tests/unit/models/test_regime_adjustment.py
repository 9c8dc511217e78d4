"""A regime changes confidence and base rate of P(up), never the ranking within a session."""

import numpy as np
import pytest

from foundry_tasks.evaluation.metrics import session_ranks
from foundry_tasks.models.calibration import BaseRateSlope
from foundry_tasks.models.market_regime import VOLATILITY
from foundry_tasks.models.regime_adjustment import MAX_FACTOR, PRIOR_SESSIONS, RegimeAdjustment, fit_adjustment
from foundry_tasks.models.stack import Stack

SESSIONS, TICKERS = 600, 100


def market(calm_slope, turbulent_slope, *, calm_rate=0.5, turbulent_rate=0.5, seed=4):
    """Scores, volatility, up, above the median; shapes (SESSIONS, TICKERS) and (SESSIONS,)."""
    rng = np.random.default_rng(seed)
    volatility = rng.permutation(np.linspace(0.005, 0.02, SESSIONS))
    turbulent = (volatility > np.median(volatility))[:, None]
    scores = rng.normal(size=(SESSIONS, TICKERS))
    p = 1 / (1 + np.exp(-np.where(turbulent, turbulent_slope, calm_slope) * scores))
    above = (rng.random(p.shape) < p).astype(float)
    up = (rng.random(p.shape) < np.where(turbulent, turbulent_rate, calm_rate)).astype(float)
    return scores, volatility, up, above


def fitted(scores, volatility, up, above, *, scale=False, intercept=False):
    return fit_adjustment(scores, volatility, up=up, above_median=above, scale=scale, intercept=intercept)


# ------------------------------------------------------------------ scale
def test_a_regimes_factor_is_its_own_slope_over_the_common_one_shrunk_towards_one():
    found = fitted(*market(0.1, 0.3), scale=True)
    share = (SESSIONS / 2) / (SESSIONS / 2 + PRIOR_SESSIONS)
    assert found.factors == pytest.approx((1 - 0.5 * share, 1 + 0.5 * share), abs=0.04)
    assert found.shifts == (0.0, 0.0)


def test_a_regime_whose_scores_point_far_the_wrong_way_says_nothing_rather_than_the_opposite():
    assert fitted(*market(-0.4, 0.6), scale=True).factors[0] == 0.0


def test_scores_without_any_slope_scale_nothing():
    assert fitted(*market(-0.2, -0.1), scale=True).factors == (1.0, 1.0)


def test_a_factor_has_a_ceiling_where_the_common_slope_is_nearly_nothing():
    assert fitted(*market(-0.28, 0.3), scale=True).factors == (0.0, MAX_FACTOR)


def test_factors_change_confidence_and_no_rank_within_a_session():
    rng = np.random.default_rng(1)
    base, rate = {"a": rng.normal(size=(40, 20))}, np.full(40, 0.53)
    regime = {VOLATILITY: rng.permutation(np.linspace(0, 1, 40))}
    plain = Stack(("a",), None, BaseRateSlope(0.2), "plain")
    scaled = Stack(("a",), None, BaseRateSlope(0.2), "scaled", RegimeAdjustment(0.5, factors=(0.5, 2.0)))
    before, after = plain.p_up(base, regime, rate), scaled.p_up(base, regime, rate)
    np.testing.assert_array_equal(session_ranks(after), session_ranks(before))
    np.testing.assert_array_equal(scaled.scores(base, regime), plain.scores(base, regime))
    wider = after.std(axis=1) > before.std(axis=1)
    np.testing.assert_array_equal(wider, regime[VOLATILITY] > 0.5)


# ------------------------------------------------------------------ intercept
def test_a_regimes_base_rate_is_mixed_with_the_overall_one():
    found = fitted(*market(0.1, 0.1, calm_rate=0.6, turbulent_rate=0.4), intercept=True)
    share = (SESSIONS / 2) / (SESSIONS / 2 + PRIOR_SESSIONS)
    moved = found.rate(np.full(2, 0.5), np.array([0.0, 1.0]))
    assert moved == pytest.approx([0.5 + 0.1 * share, 0.5 - 0.1 * share], abs=0.005)
    assert found.factors == (1.0, 1.0)


def test_an_intercept_moves_every_ticker_of_a_session_alike():
    adjustment = RegimeAdjustment(0.5, shifts=(0.1, -0.2))
    stack = Stack(("a",), None, BaseRateSlope(0.2), "moved", adjustment)
    base, volatility = {"a": np.random.default_rng(1).normal(size=(3, 20))}, np.array([0.4, 0.6, np.nan])
    p = stack.p_up(base, {VOLATILITY: volatility}, np.full(3, 0.5))
    plain = Stack(("a",), None, BaseRateSlope(0.2), "plain").p_up(base, {}, np.full(3, 0.5))
    moved = np.log(p / (1 - p)) - np.log(plain / (1 - plain))
    np.testing.assert_allclose(moved, np.broadcast_to([[0.1], [-0.2], [0.0]], moved.shape), rtol=0, atol=1e-9)


# ------------------------------------------------------------------ both
def test_nothing_known_changes_nothing():
    nothing = np.full((5, 4), np.nan)
    found = fitted(nothing, np.full(5, np.nan), nothing, nothing, scale=True, intercept=True)
    assert (found.factors, found.shifts) == ((1.0, 1.0), (0.0, 0.0))
    assert str(found) == "no difference between regimes that it could have learned"


def test_it_survives_its_stacks_bytes_and_says_what_it_does():
    adjustment = fitted(*market(0.1, 0.3, calm_rate=0.55), scale=True, intercept=True)
    stack = Stack(("a",), None, BaseRateSlope(0.2), "why", adjustment)
    assert Stack.from_bytes(stack.to_bytes()) == stack
    said = str(RegimeAdjustment(0.5, (0.8, 1.25), (0.1, -0.2)))
    assert said == (
        "calm sessions' scores × 0.80, turbulent sessions' scores × 1.25; "
        "calm sessions' intercept +0.100, turbulent sessions' intercept −0.200"
    )
