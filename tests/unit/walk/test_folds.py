"""Folds by session: order, sizes, purges, and clear errors."""

from dataclasses import asdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.config import WalkConfig
from foundry_tasks.contract.documents import Folds, Window
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.walk.folds import WalkForwardValidator


def walk(**keys):
    return WalkForwardValidator(WalkConfig(**keys))


def test_the_five_folds_of_the_reference_figures_are_where_the_facts_say():
    folds = walk(first_test_session=500).folds(1259, horizon=1)
    reported = [fold.test for fold in folds if fold.reported]
    assert reported == [Window(500 + 150 * k, 650 + 150 * k) for k in range(5)]
    assert [fold.test for fold in folds if not fold.reported] == [Window(200, 350), Window(350, 500)]


def test_the_line_of_a_fold_is_fit_purge_validation_purge_test():
    fold = walk(first_test_session=500, validation_sessions=63).folds(1259, horizon=5)[2]
    assert (fold.fit.stop, fold.validation, fold.test.start) == (500 - 5 - 63 - 5, Window(432, 495), 500)


def test_without_a_first_session_the_last_fold_ends_with_the_last_session():
    assert walk().folds(2000, horizon=1)[-1].test.stop == 2000


def test_test_windows_are_the_same_for_every_horizon():
    tests = [[fold.test for fold in walk().folds(1500, horizon=h)] for h in (1, 5, 20)]
    assert tests[0] == tests[1] == tests[2]


def test_a_rolling_walk_keeps_the_length_of_its_fit_window():
    folds = walk(walk="rolling", warmup_blocks=0).folds(1500, horizon=1)
    assert len({len(fold.fit) for fold in folds}) == 1


def test_warm_up_blocks_have_no_validation_and_are_not_reported():
    warm = [fold for fold in walk().folds(1500, horizon=1) if not fold.reported]
    assert [(fold.name, fold.validation) for fold in warm] == [("warmup2", None), ("warmup1", None)]


@pytest.mark.parametrize(
    ("sessions", "keys", "says"),
    [
        (600, {}, "5 folds of 150 sessions from session 0 need 750 sessions, the prices have 600"),
        (800, {}, "sessions to fit on"),
        (1259, {"first_test_session": 600}, "need 1350 sessions, the prices have 1259"),
        (100, {"folds": 2, "test_sessions": 20, "warmup_blocks": 0}, "min_fit_sessions is 100"),
    ],
)
def test_too_few_sessions_are_refused_with_what_to_change(sessions, keys, says):
    with pytest.raises(ConfigError, match=says):
        walk(**keys).folds(sessions, horizon=1)


def test_folds_survive_their_json():
    folds = {h: walk().folds(1500, horizon=h) for h in (1, 20)}
    assert Folds.model_validate_json(Folds(horizons=folds).model_dump_json()).horizons == folds


def test_folds_that_an_earlier_version_wrote_are_read():
    """Up to version 0.2 folds.json had only horizons as keys."""
    folds = {h: walk().folds(1500, horizon=h) for h in (1, 5, 20)}
    written = {str(h): [asdict(fold) for fold in folds[h]] for h in (20, 5, 1)}
    assert list(Folds.model_validate(written).horizons.items()) == list(folds.items())


@given(
    sessions=st.integers(300, 3000), horizon=st.integers(1, 60), folds=st.integers(2, 8), test=st.integers(20, 300),
    validation=st.integers(20, 150), warmup=st.integers(0, 4), embargo=st.integers(0, 30), rolling=st.booleans(),
)  # fmt: skip
def test_no_label_of_a_window_reaches_into_the_next(
    sessions, horizon, folds, test, validation, warmup, embargo, rolling
):
    validator = walk(
        folds=folds, test_sessions=test, validation_sessions=validation, warmup_blocks=warmup,
        embargo_sessions=embargo, walk="rolling" if rolling else "anchored",
    )  # fmt: skip
    try:
        made = validator.folds(sessions, horizon)
    except ConfigError:
        return
    for fold in made:
        for (_, earlier), (_, later) in pairwise(fold.windows()):
            last_label_ends = earlier.stop - 1 + horizon
            assert last_label_ends + embargo < later.start
        assert len(fold.fit) >= 100
        assert fold.test.stop <= sessions
    for fold, later in pairwise(made):
        assert fold.test.stop == later.test.start
