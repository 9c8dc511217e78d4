"""Lookback is bounded: features of the last sessions can be computed from a shortened panel."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.config import RECENT_SESSIONS, MonitorConfig
from foundry_tasks.features import FEATURES, build_features
from foundry_tasks.features.factors import REFIT_SESSIONS
from foundry_tasks.features.lookback import LOOKBACK_SESSIONS, first_needed

N_SESSIONS = 640
few = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ragged(market, rng):
    """Tickers that join, leave, are halted for weeks, lack single bars or are members temporarily."""
    n_sessions, n_tickers = market.member.shape
    bar = rng.random(market.member.shape) > 0.02
    member = market.member.copy()
    for ticker in range(n_tickers - 4):
        first, last = np.sort(rng.integers(0, n_sessions, 2))
        kind = rng.integers(4)
        bar[:first, ticker] &= kind != 0
        bar[last:, ticker] &= kind != 1
        bar[first : first + 30, ticker] &= kind != 2
        member[:first, ticker] &= kind != 3
    return replace(market.mapped(lambda _, values: np.where(bar, values, np.nan) if values.ndim > 1 else values),
                   member=member)  # fmt: skip


def since(market, first):
    return replace(
        market.mapped(lambda _, values: values[first:]), sessions=market.sessions[first:], member=market.member[first:]
    )


def moved(whole, tail, last):
    """Names of the features whose last sessions differ by more than 1e-6."""
    pairs = zip(whole.names, whole.last(last).values, tail.last(last).values, strict=True)
    return {name for name, a, b in pairs if not np.allclose(a, b, rtol=1e-6, atol=1e-6, equal_nan=True)}


@few
@given(seed=st.integers(0, 2**16), n_sessions=st.integers(500, N_SESSIONS), last=st.integers(1, 90))
def test_every_feature_of_the_last_sessions_follows_from_the_tail_of_a_ragged_panel(
    make_market, seed, n_sessions, last
):
    market = ragged(make_market(n_sessions, 14, seed=seed), np.random.default_rng(seed))
    first = first_needed(n_sessions, last)
    assert first > 0
    whole, tail = (build_features(panel, "extended").panel for panel in (market, since(market, first)))
    assert whole.names == tail.names == tuple(feature.name for feature in FEATURES)
    assert not moved(whole, tail, last)


@pytest.mark.parametrize(
    ("first", "forgotten"),
    [
        (N_SESSIONS - 20 - LOOKBACK_SESSIONS + 2 * REFIT_SESSIONS, "residual_vol_60d"),
        (N_SESSIONS - 20 - 230, "mom_12_1"),
    ],
)
def test_a_shorter_tail_forgets_what_some_feature_remembers(make_market, first, forgotten):
    market = make_market(N_SESSIONS)
    first = first // REFIT_SESSIONS * REFIT_SESSIONS
    whole, tail = (build_features(panel, "extended").panel for panel in (market, since(market, first)))
    assert forgotten in moved(whole, tail, 20)


def test_a_tail_that_begins_between_two_refits_of_the_factors_refits_them_on_other_sessions(make_market):
    market = make_market(N_SESSIONS)
    first = first_needed(N_SESSIONS, 20) - 1
    whole, tail = (build_features(panel, "extended").panel for panel in (market, since(market, first)))
    assert moved(whole, tail, 20) == {feature.name for feature in FEATURES if feature.name.startswith("residual")}


def test_a_short_history_is_needed_whole():
    assert first_needed(300, 20) == 0
    assert first_needed(LOOKBACK_SESSIONS + 20 + REFIT_SESSIONS - 1, 20) == 0
    assert first_needed(LOOKBACK_SESSIONS + 20 + REFIT_SESSIONS, 20) == REFIT_SESSIONS


def test_no_window_of_live_figures_is_longer_than_the_prices_of_a_run_of_recent_sessions():
    (longest,) = (rule.le for rule in MonitorConfig.model_fields["live_sessions"].metadata if hasattr(rule, "le"))
    longest_horizon = 60
    assert longest + longest_horizon + 1 <= RECENT_SESSIONS + LOOKBACK_SESSIONS
