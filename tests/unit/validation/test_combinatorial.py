"""Combinatorial purged cross-validation: nothing leaks, and every path is whole."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.documents import Window
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.validation.combinatorial import CombinatorialPurgedValidator


@st.composite
def validators(draw):
    groups = draw(st.integers(3, 8))
    label_span, embargo = draw(st.integers(0, 25)), draw(st.integers(0, 10))
    shortest = label_span + embargo + 2 + draw(st.integers(0, 40))
    n_sessions = shortest * groups + draw(st.integers(0, groups - 1))
    return CombinatorialPurgedValidator(n_sessions, groups, draw(st.integers(2, groups - 1)), label_span, embargo)


def test_three_groups_two_of_them_tested_by_hand():
    made = CombinatorialPurgedValidator(31, groups=3, test_groups=2, label_span=2, embargo_sessions=1)
    first, second, third = Window(0, 10), Window(10, 20), Window(20, 31)
    assert [(split.tests, split.fit) for split in made.splits()] == [
        ((first, second), (Window(23, 31),)),
        ((first, third), (Window(13, 17),)),
        ((second, third), (Window(0, 7),)),
    ]


def test_a_fit_set_between_tests_is_a_union_of_windows():
    made = CombinatorialPurgedValidator(50, groups=5, test_groups=2, label_span=1)
    split = next(split for split in made.splits() if split.tests == (Window(10, 20), Window(30, 40)))
    assert split.fit == (Window(0, 9), Window(21, 29), Window(41, 50))


@given(validators())
def test_no_label_of_a_fit_reaches_into_a_test_nor_the_other_way_round(made):
    gap = made.label_span + made.embargo_sessions
    for split in made.splits():
        for fit in split.fit:
            for test in split.tests:
                assert fit.stop - 1 + gap < test.start or test.stop - 1 + gap < fit.start


@given(validators())
def test_nothing_is_purged_that_does_not_have_to_be(made):
    gap = made.label_span + made.embargo_sessions
    for split in made.splits():
        fitted = {session for fit in split.fit for session in range(fit.start, fit.stop)}
        near = {s for test in split.tests for s in range(test.start - gap, test.stop + gap)}
        assert fitted == set(range(made.n_sessions)) - near


@given(validators())
def test_every_path_covers_every_session_once_by_a_model_that_was_not_fitted_on_it(made):
    splits = made.splits()
    fitted = np.zeros((len(splits), made.n_sessions), dtype=bool)
    numbers = np.full((len(splits), made.n_sessions), np.nan)
    for number, split in enumerate(splits):
        for fit in split.fit:
            fitted[number, fit.slice] = True
        for test in split.tests:
            numbers[number, test.slice] = number
    paths = made.assemble(numbers)
    assert np.isfinite(paths).all()
    assert not np.take_along_axis(fitted, paths.astype(int), axis=0).any()


@given(validators())
def test_there_are_as_many_splits_and_paths_as_the_formula_says_and_no_test_is_used_twice(made):
    groups, k = made.groups, made.test_groups
    assert len(made.splits()) == comb(groups, k)
    assert made.paths().shape == (comb(groups, k) * k // groups, groups)
    assert all(len(set(column)) == len(column) for column in made.paths().T)


def test_paths_of_wide_scores_keep_their_tickers():
    made = CombinatorialPurgedValidator(40, groups=4, test_groups=2, label_span=1)
    scores = [np.full((40, 3), float(number)) for number in range(6)]
    assert made.assemble(scores).shape == (3, 40, 3)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"groups": 6, "test_groups": 1}, "test_groups must be in"),
        ({"groups": 6, "test_groups": 6}, "got 6 of 6"),
        ({"groups": 10, "test_groups": 2}, "10 groups of 300 sessions have 30 each, and a purge of 30"),
    ],
)
def test_what_cannot_be_split_is_refused_with_what_to_change(keys, says):
    with pytest.raises(ConfigError, match=says):
        CombinatorialPurgedValidator(300, **keys, label_span=20, embargo_sessions=10)
