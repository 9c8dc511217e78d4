import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tasks.features import build_features

N_SESSIONS = 320


@pytest.fixture(scope="module")
def whole(market):
    return build_features(market, "extended").panel.values


def same_bits(a, b):
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))


def spoiled(market, t, noise):
    def change(name, values):
        values = values.copy()
        values[t + 1 :] = noise(name, values[t + 1 :])
        return values

    return market.mapped(change)


any_session = st.integers(min_value=1, max_value=N_SESSIONS - 2)
few = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(t=any_session)
def test_cutting_later_sessions_does_not_move_a_bit(market, whole, t):
    cut = build_features(market.up_to(t + 1), "extended").panel.values
    assert same_bits(cut, np.ascontiguousarray(whole[:, : t + 1]))


@few
@given(t=any_session)
def test_later_sessions_turned_to_nan_do_not_move_a_bit(market, whole, t):
    poisoned = spoiled(market, t, lambda _, values: np.full_like(values, np.nan))
    values = build_features(poisoned, "extended").panel.values
    assert same_bits(np.ascontiguousarray(values[:, : t + 1]), np.ascontiguousarray(whole[:, : t + 1]))


@few
@given(t=any_session, seed=st.integers(0, 2**16), power=st.sampled_from([-3, 0, 3, 9]))
def test_later_sessions_turned_to_noise_do_not_move_a_bit(market, whole, t, seed, power):
    rng = np.random.default_rng(seed)
    poisoned = spoiled(market, t, lambda _, values: np.exp(rng.normal(power, 3, values.shape)))
    values = build_features(poisoned, "extended").panel.values
    assert same_bits(np.ascontiguousarray(values[:, : t + 1]), np.ascontiguousarray(whole[:, : t + 1]))


def test_every_feature_has_values_at_the_end_of_a_long_enough_history(market, whole):
    assert np.isfinite(whole[:, -1]).mean(axis=1).min() > 0.5
