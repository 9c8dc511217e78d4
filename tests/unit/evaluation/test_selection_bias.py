"""Deflation by trials with different sessions, and conditions for a probability of overfitting."""

import numpy as np
import pytest

from foundry_tasks.evaluation.overfitting import backtest_overfitting, deflate
from foundry_tasks.evaluation.performance import sharpe_ratio
from foundry_tasks.evaluation.selection_bias import MIN_TRIALS, align, selection_bias
from foundry_tasks.evaluation.standard_portfolio import DailyPnl

FIRST = np.datetime64("2020-01-01")


def daily(pnl, start=0):
    return DailyPnl(FIRST + start + np.arange(len(pnl)), np.asarray(pnl, dtype=float))


def noise(seed, n_sessions=200, start=0, mean=0.0):
    return daily(np.random.default_rng(seed).normal(mean, 0.01, n_sessions), start)


def test_trials_of_the_same_sessions_are_deflated_as_the_formula_says():
    trials = [noise(seed) for seed in range(12)]
    found = selection_bias(trials[3], trials)
    raw, clustered = deflate(trials[3].pnl, np.column_stack([trial.pnl for trial in trials]))
    assert found.raw.n_trials == raw.n_trials == 12
    assert found.raw.deflated == pytest.approx(raw.deflated)
    assert found.clustered == clustered


def test_the_stricter_of_raw_and_clustered_counts_though_copies_outnumber_the_rest():
    mine, other = noise(0, mean=0.001), noise(1, mean=-0.001)
    copies = [daily(mine.pnl + 1e-4 * noise(seed).pnl) for seed in range(2, 40)]
    found = selection_bias(mine, [mine, other, *copies])
    assert (found.raw.n_trials, found.clustered.n_trials) == (40, 2)
    assert found.raw.deflated != pytest.approx(found.clustered.deflated, rel=0.01)
    assert found.deflated == min(found.raw.deflated, found.clustered.deflated)


def test_a_trial_on_other_sessions_counts_in_the_raw_number_alone():
    trials = [noise(seed) for seed in range(3)]
    far = noise(9, start=5000)
    found = selection_bias(trials[0], [*trials, far])
    assert (found.raw.n_trials, found.clustered.n_trials) == (4, 3)
    assert (found.aligned, found.unaligned, found.shared_sessions) == (3, 1, 200)


def test_what_overlaps_by_half_is_aligned_on_what_is_shared():
    mine, half, less = noise(0), noise(1, start=100), noise(2, start=101)
    sessions, aligned = align(mine, [less, half, mine])
    assert [trial.sessions[0] for trial in aligned] == [mine.sessions[0], half.sessions[0]]
    assert (sessions == mine.sessions[100:]).all()


def test_two_halves_of_the_chosen_sessions_do_not_align_with_each_other():
    mine = noise(0)
    _, aligned = align(mine, [mine, noise(1, 110), noise(2, 110, start=90)])
    assert len(aligned) == 2


def test_more_trials_make_the_same_sharpe_ratio_worth_less():
    mine = noise(0, mean=0.002)
    few, many = ([mine, *(noise(seed) for seed in range(1, count))] for count in (3, 60))
    assert selection_bias(mine, many).deflated < selection_bias(mine, few).deflated


def test_the_only_trial_there_is_chose_nothing():
    mine = noise(0)
    assert selection_bias(mine, [mine]).raw.expected_maximum == 0.0


def test_a_portfolio_that_never_moved_counts_as_a_trial_with_a_sharpe_ratio_of_zero():
    mine, flat = noise(0), daily(np.zeros(200))
    found = selection_bias(mine, [mine, flat])
    assert found.raw.variance == pytest.approx(np.var([sharpe_ratio(mine.pnl, periods_per_year=1), 0.0], ddof=1))


def test_what_never_moved_cannot_be_deflated():
    flat = daily(np.zeros(200))
    assert np.isnan(selection_bias(flat, [flat, noise(0)]).deflated)


def test_the_probability_of_overfitting_is_that_of_the_different_trials():
    trials = [noise(seed) for seed in range(MIN_TRIALS)]
    found = selection_bias(trials[0], [*trials, trials[0], trials[0]])
    expected = backtest_overfitting(np.unique(np.column_stack([trial.pnl for trial in trials]), axis=1))
    assert found.overfitting == expected.probability
    assert found.undefined == ""


def test_copies_of_one_trial_do_not_make_the_probability_of_overfitting_defined():
    trials = [noise(seed) for seed in range(MIN_TRIALS - 1)]
    found = selection_bias(trials[0], [*trials, trials[0]])
    assert np.isnan(found.overfitting)
    assert found.undefined == "9 different trials, 10 are needed"


def test_too_few_sessions_leave_the_probability_of_overfitting_undefined():
    trials = [noise(seed, 159) for seed in range(MIN_TRIALS)]
    assert selection_bias(trials[0], trials).undefined == "159 shared sessions, 160 are needed"
