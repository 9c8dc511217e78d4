"""Deflation of a Sharpe ratio and the probability of backtest overfitting."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from skfolio import measures

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.evaluation.overfitting import (
    SharpeSample,
    backtest_overfitting,
    deflate,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    probabilistic_sharpe_ratio,
    trial_clusters,
)
from foundry_tasks.evaluation.performance import sharpe_ratio


def noise(sessions, trials, seed=0):
    return np.random.default_rng(seed).normal(0, 0.01, (sessions, trials))


@pytest.mark.parametrize(
    ("n_trials", "variance", "sample", "maximum", "deflated"),
    [
        (100, 0.01, SharpeSample(0.10, 1001), 0.2530602893, 6.8908e-7),
        (10, 0.0025, SharpeSample(0.05, 251), 0.0787299151, 0.3249229798),
        (50, 0.01, SharpeSample(0.12, 1001, skew=-0.5, kurtosis=6), None, 0.00052249976),
    ],
)
def test_the_deflated_sharpe_ratio_of_the_paper(n_trials, variance, sample, maximum, deflated):
    assert deflated_sharpe_ratio(sample, n_trials=n_trials, variance=variance) == pytest.approx(deflated, rel=1e-5)
    if maximum is not None:
        assert expected_maximum_sharpe(n_trials, variance) == pytest.approx(maximum, abs=1e-10)


@given(st.integers(0, 2**32 - 1), st.floats(-0.1, 0.1))
def test_the_probabilistic_sharpe_ratio_equals_that_of_skfolio(seed, benchmark):
    pnl = np.random.default_rng(seed).standard_t(4, 200) * 0.01
    expected = measures.probabilistic_sharpe_ratio(pnl, benchmark_sharpe_ratio=benchmark)
    assert probabilistic_sharpe_ratio(SharpeSample.of(pnl), benchmark) == pytest.approx(expected)


def test_deflation_by_all_trials_equals_that_of_skfolio():
    trials = noise(250, 20)
    sharpes = [sharpe_ratio(pnl, periods_per_year=1) for pnl in trials.T]
    raw, _ = deflate(trials[:, 3], trials)
    assert raw.deflated == pytest.approx(measures.deflated_sharpe_ratio(trials[:, 3], sharpes))
    assert raw.n_trials == 20


def test_one_trial_is_not_deflated():
    pnl = noise(250, 1)
    raw, clustered = deflate(pnl[:, 0], pnl)
    assert raw == clustered
    assert (raw.expected_maximum, raw.deflated) == (0.0, probabilistic_sharpe_ratio(SharpeSample.of(pnl[:, 0])))


def test_the_best_of_many_skill_less_trials_is_as_good_as_expected():
    best = [max(sharpe_ratio(pnl, periods_per_year=1) for pnl in noise(250, 50, seed).T) for seed in range(60)]
    assert np.mean(best) == pytest.approx(expected_maximum_sharpe(50, 1 / 250), rel=0.05)


def test_a_pnl_that_never_moves_has_no_sharpe_ratio_to_judge():
    sample = SharpeSample.of(np.zeros(100))
    assert np.isnan(probabilistic_sharpe_ratio(sample))


def test_seeds_of_one_recipe_are_one_trial_and_recipes_are_several():
    recipes = noise(500, 3)
    seeds = np.hstack([recipes[:, [k]] + 0.3 * noise(500, 4, seed=k + 1) for k in range(3)])
    clusters = trial_clusters(seeds).reshape(3, 4)
    assert (clusters == clusters[:, :1]).all()
    assert len(set(clusters[:, 0])) == 3


def test_trials_that_are_all_alike_are_one_and_unlike_ones_are_all_counted():
    assert len(set(trial_clusters(np.repeat(noise(300, 1), 6, axis=1)))) == 1
    assert len(set(trial_clusters(noise(300, 6)))) == 6


def test_a_trial_that_never_traded_is_a_trial_of_its_own():
    trials = np.column_stack([np.repeat(noise(300, 1), 3, axis=1), np.zeros(300)])
    assert len(set(trial_clusters(trials))) == 2
    assert deflate(trials[:, 0], trials)[0].n_trials == 4


def test_repeating_a_trial_raises_the_raw_number_but_not_the_clustered_one():
    trials = noise(500, 5)
    copied = np.hstack([trials, trials[:, :1].repeat(10, axis=1)])
    raw, clustered = deflate(trials[:, 0], copied)
    assert (raw.n_trials, clustered.n_trials) == (15, 5)
    assert clustered.expected_maximum == pytest.approx(deflate(trials[:, 0], trials)[1].expected_maximum)


def test_a_missing_day_leaves_a_deflation_undefined():
    trials = noise(100, 3)
    trials[5, 1] = np.nan
    assert np.isnan([part.deflated for part in deflate(trials[:, 0], trials)]).all()
    assert np.isnan(backtest_overfitting(trials).probability)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7))
def test_overfitting_equals_its_definition_spelled_out(seed, n_trials):
    trials = noise(64, n_trials, seed)
    blocks = np.split(trials, 4)
    logits, losses = [], []
    for half in combinations(range(4), 2):
        inside, outside = (
            np.array([sharpe_ratio(pnl, periods_per_year=1) for pnl in np.vstack([blocks[b] for b in chosen]).T])
            for chosen in (half, [b for b in range(4) if b not in half])
        )
        omega = rankdata(outside)[inside.argmax()] / (n_trials + 1)
        logits.append(np.log(omega / (1 - omega)))
        losses.append(outside[inside.argmax()] < 0)
    found = backtest_overfitting(trials, blocks=4)
    assert found.logits == pytest.approx(np.array(logits))
    assert found.probability == np.mean(np.array(logits) <= 0)
    assert found.loss == np.mean(losses)


def test_choosing_among_noise_is_a_coin_toss():
    probabilities = [backtest_overfitting(noise(400, 10, seed), blocks=10).probability for seed in range(40)]
    assert np.mean(probabilities) == pytest.approx(0.5, abs=0.1)


def test_a_trial_with_skill_is_not_overfitted():
    trials = noise(1000, 20)
    trials[:, 7] += 0.003
    found = backtest_overfitting(trials)
    assert found.probability < 0.01
    assert found.loss < 0.01
    assert len(found.logits) == 12870


def test_a_trial_that_never_trades_earns_a_sharpe_ratio_of_zero_in_every_half():
    losers = noise(160, 3) - 0.02
    found = backtest_overfitting(np.column_stack([losers, np.zeros(160)]), blocks=4)
    assert (found.probability, found.loss) == (0.0, 0.0)


def test_too_few_trials_or_sessions_are_undefined():
    assert np.isnan(backtest_overfitting(noise(400, 1)).probability)
    assert np.isnan(backtest_overfitting(noise(31, 5)).probability)


def test_an_odd_number_of_blocks_has_no_halves():
    with pytest.raises(ConfigError, match="blocks must be even"):
        backtest_overfitting(noise(400, 5), blocks=15)
