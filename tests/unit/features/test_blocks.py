"""Features computed in blocks of sessions are equal, and so is the check that none uses a later session."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tasks.data.panel import group_sessions
from foundry_tasks.data.tables import write_features
from foundry_tasks.data.temporary_matrices import TemporaryMatrices
from foundry_tasks.features import FEATURES, build_features
from foundry_tasks.features.build import BLOCK_SESSIONS, feature_blocks
from foundry_tasks.features.factors import REFIT_SESSIONS
from tests.unit.features.test_lookback import ragged

N_SESSIONS = 900
few = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("foundry_tasks.features.build.BLOCK_SESSIONS", 210)


def in_blocks(market, **arguments):
    """Copies of all blocks, since each is overwritten by the next."""
    return np.concatenate(
        [part.values.copy() for part in feature_blocks(market, FEATURES, TemporaryMatrices, **arguments)], axis=1
    )


@few
@given(seed=st.integers(0, 2**16))
def test_features_of_a_ragged_market_in_blocks_are_those_of_the_whole_within_rounding(make_market, seed):
    market = ragged(make_market(N_SESSIONS, 14, seed=seed), np.random.default_rng(seed))
    whole = build_features(market, "extended").panel.values
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("foundry_tasks.features.build.BLOCK_SESSIONS", 210)
        blocks = in_blocks(market)
    assert np.allclose(blocks, whole, rtol=1e-6, atol=1e-6, equal_nan=True)


def test_a_panel_built_at_once_has_the_bits_of_its_blocks(make_market, small_blocks):
    market = make_market(N_SESSIONS)
    assert np.array_equal(build_features(market, "extended").panel.values, in_blocks(market), equal_nan=True)


@few
@given(t=st.integers(1, N_SESSIONS - 2))
def test_cutting_and_spoiling_later_sessions_does_not_move_a_bit_of_any_block(make_market, small_blocks, t):
    market = make_market(N_SESSIONS)
    whole = in_blocks(market)[:, : t + 1]
    assert np.array_equal(in_blocks(market.up_to(t + 1)), whole, equal_nan=True)
    spoilt = market.mapped(lambda _, values: np.where(np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1)) > t,
                                                      np.nan, values))  # fmt: skip
    assert np.array_equal(in_blocks(spoilt)[:, : t + 1], whole, equal_nan=True)


def test_only_the_sessions_that_are_wanted_are_computed(make_market):
    market = make_market(N_SESSIONS)
    (last,) = feature_blocks(market, FEATURES, TemporaryMatrices, since=N_SESSIONS - 30)
    assert last.sessions.tolist() == market.sessions[-30:].tolist()
    whole = build_features(market, "extended").panel.last(30).values
    assert np.allclose(last.values, whole, rtol=1e-6, atol=1e-6, equal_nan=True)


def test_a_file_written_in_blocks_has_the_bytes_of_one_written_at_once(make_market, monkeypatch, tmp_path):
    market = make_market(N_SESSIONS, 30)
    monkeypatch.setattr("foundry_tasks.features.build.BLOCK_SESSIONS", group_sessions(180))
    monkeypatch.setattr("foundry_tasks.features.build.group_sessions", lambda _: group_sessions(180))
    monkeypatch.setattr("foundry_tasks.data.tables.group_sessions", lambda _: group_sessions(180))
    write_features(tmp_path / "blocks.parquet", feature_blocks(market, FEATURES, TemporaryMatrices))
    write_features(tmp_path / "whole.parquet", [build_features(market, "extended").panel])
    assert (tmp_path / "blocks.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@given(n_tickers=st.integers(1, 20_000))
def test_a_block_is_made_of_whole_row_groups_and_whole_refits(n_tickers):
    assert BLOCK_SESSIONS % group_sessions(n_tickers) == BLOCK_SESSIONS % REFIT_SESSIONS == 0


def test_no_more_than_a_part_of_the_features_is_in_memory_at_once(make_market):
    market = make_market(N_SESSIONS, 180)
    tracemalloc.start()
    for _ in feature_blocks(market, FEATURES, TemporaryMatrices):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * len(FEATURES) * market.member.size * 4
