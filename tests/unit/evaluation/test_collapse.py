"""Collapse: only a vanishing dispersion within sessions, or too few distinct scores, counts as collapse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.evaluation.collapse import collapse_of
from foundry_tasks.evaluation.metrics import session_dispersion

SESSIONS, TICKERS = 20, 50
SESSION = np.repeat(np.arange(SESSIONS), TICKERS)


def honest(spread=0.05, seed=0):
    return spread * np.random.default_rng(seed).normal(size=SESSIONS * TICKERS)


def test_scores_that_spread_by_a_twentieth_did_not_collapse():
    report = collapse_of(honest(), SESSION)
    assert not report.collapsed
    assert report.why == ""
    assert (report.flat_sessions, report.distinct_share) == (0.0, 1.0)


def test_the_spread_is_the_mean_of_the_sessions_deviations():
    scores = honest()
    wide = session_dispersion(scores.reshape(SESSIONS, TICKERS))
    assert collapse_of(scores, SESSION).dispersion == pytest.approx(wide.mean())


def test_the_same_score_for_every_ticker_is_a_collapse_however_the_sessions_differ():
    report = collapse_of(SESSION * 1.0, SESSION)
    assert report.collapsed
    assert report.flat_sessions == 1.0


def test_what_is_left_of_a_float32_networks_noise_is_a_collapse():
    scores = (0.3 + honest(spread=1e-8)).astype(np.float32)
    assert collapse_of(scores, SESSION).flat_sessions == 1.0


def test_two_values_in_fifty_tickers_are_a_collapse_though_they_spread():
    report = collapse_of(np.where(honest() > 0, 1.0, -1.0), SESSION)
    assert report.collapsed
    assert report.flat_sessions == 0.0
    assert report.distinct_share == pytest.approx(2 / TICKERS)


def test_one_flat_session_in_ten_is_no_collapse_and_three_in_twenty_are():
    scores = honest()
    scores[: 2 * TICKERS] = 0.0
    assert not collapse_of(scores, SESSION).collapsed
    scores[: 3 * TICKERS] = 0.0
    assert collapse_of(scores, SESSION).collapsed


def test_a_model_that_calls_every_ticker_up_did_not_collapse():
    assert not collapse_of(3.0 + honest(), SESSION).collapsed


def test_a_collapse_says_in_a_sentence_what_it_found_and_what_was_asked():
    why = collapse_of(np.zeros(len(SESSION)), SESSION).why
    assert why == (
        "collapsed: 100% of the sessions give every ticker the same score, 10% may and 2.0% of a session's scores differ, "
        "10% must"
    )


def test_rows_without_a_score_are_left_out():
    scores = honest()
    holes = scores.copy()
    holes[::7] = np.nan
    kept = np.isfinite(holes)
    assert collapse_of(holes, SESSION) == collapse_of(scores[kept], SESSION[kept])


def test_with_one_ticker_the_sessions_are_compared_with_each_other():
    one_each = np.arange(len(SESSION))
    assert not collapse_of(honest(), one_each).collapsed
    assert collapse_of(np.zeros(len(SESSION)), one_each).collapsed


def test_a_single_score_is_no_collapse():
    report = collapse_of(np.array([0.1]), np.array([0]))
    assert not report.collapsed
    assert np.isnan(report.dispersion)


@given(st.integers(0, 2**32 - 1), st.floats(-10, 10), st.floats(0.01, 100))
def test_neither_the_order_of_rows_nor_a_shift_nor_a_scale_makes_a_collapse(seed, shift, scale):
    order = np.random.default_rng(seed).permutation(len(SESSION))
    report = collapse_of((shift + scale * honest())[order], SESSION[order])
    assert not report.collapsed
    assert report.dispersion == pytest.approx(scale * collapse_of(honest(), SESSION).dispersion)
