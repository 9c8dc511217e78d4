"""Group 1, the split: folds are in temporal order and have the requested sizes."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from foundry_tasks.contract.config import WalkConfig
from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.walk.folds import WalkForwardValidator
from tests.leakage.walks import Walk, walks


# ------------------------------------------------------------------ order
@given(walks())
def test_the_windows_of_a_fold_are_in_the_order_of_time_and_disjoint(walk):
    for fold in walk.folds:
        windows = [window for _, window in fold.windows()]
        assert all(window.start < window.stop for window in windows)
        assert all(earlier.stop <= later.start for earlier, later in pairwise(windows))


@given(walks())
def test_folds_follow_each_other_in_time_and_are_numbered_so(walk):
    numbers = [fold.number for fold in walk.folds]
    assert numbers == list(range(1 - walk.config.warmup_blocks, walk.config.folds + 1))
    assert all(earlier.test.stop == later.test.start for earlier, later in pairwise(walk.folds))


@given(walks())
def test_nothing_is_fitted_on_sessions_at_or_after_a_test(walk):
    for fold in walk.folds:
        assert fold.fit.stop <= fold.test.start
        if fold.validation is not None:
            assert fold.validation.stop <= fold.test.start


@given(walks())
def test_every_reported_session_is_tested_once_and_the_last_is_the_newest(walk):
    tested = [session for fold in walk.reported for session in range(fold.test.start, fold.test.stop)]
    first = walk.n_sessions - walk.config.folds * walk.config.test_sessions
    assert tested == list(range(first, walk.n_sessions))


@given(walks())
def test_warm_up_blocks_end_where_the_first_reported_test_begins_and_are_no_evidence(walk):
    warm = [fold for fold in walk.folds if not fold.reported]
    assert len(warm) == walk.config.warmup_blocks
    assert all(fold.validation is None for fold in warm)
    assert not warm or warm[-1].test.stop == walk.reported[0].test.start


# ------------------------------------------------------------------ sizes
@given(walks())
def test_windows_have_the_sizes_that_were_asked_for(walk):
    assert {len(fold.test) for fold in walk.folds} == {walk.config.test_sessions}
    assert {len(fold.validation) for fold in walk.reported} == {walk.config.validation_sessions}
    assert min(len(fold.fit) for fold in walk.folds) >= walk.config.min_fit_sessions


@given(walks("anchored"))
def test_anchored_fit_windows_begin_with_the_first_session_and_nest(walk):
    assert {fold.fit.start for fold in walk.folds} == {0}
    assert all(earlier.fit.stop < later.fit.stop for earlier, later in pairwise(walk.reported))


@given(walks("rolling"))
def test_rolling_fit_windows_keep_their_length_and_move_with_the_test(walk):
    assume(walk.config.fit_sessions is None or walk.reported[0].fit.stop >= walk.config.fit_sessions)
    lengths = {len(fold.fit) for fold in walk.reported}
    assert lengths == {walk.config.fit_sessions or walk.reported[0].fit.stop}
    assert {later.fit.start - earlier.fit.start for earlier, later in pairwise(walk.reported)} == {
        walk.config.test_sessions
    }


@given(walks(), st.integers(1, 60))
def test_horizons_are_tested_on_the_same_sessions_and_a_longer_one_is_fitted_on_fewer(walk, other):
    short, long = sorted((walk.horizon, other))
    short, long = (Walk(walk.config, h, walk.n_sessions + 120) for h in (short, long))
    assert [fold.test for fold in short.folds] == [fold.test for fold in long.folds]
    assert all(a.fit.stop >= b.fit.stop for a, b in zip(short.folds, long.folds, strict=True))


# ------------------------------------------------------------------ by hand
def test_an_anchored_walk_by_hand():
    config = WalkConfig(folds=2, test_sessions=50, validation_sessions=20, warmup_blocks=1, embargo_sessions=2)
    assert WalkForwardValidator(config).folds(300, 5) == (
        Fold(0, Window(0, 143), None, Window(150, 200)),
        Fold(1, Window(0, 166), Window(173, 193), Window(200, 250)),
        Fold(2, Window(0, 216), Window(223, 243), Window(250, 300)),
    )


def test_a_rolling_walk_by_hand():
    config = WalkConfig(
        walk="rolling", folds=2, test_sessions=50, validation_sessions=20, warmup_blocks=0, fit_sessions=120
    )
    assert WalkForwardValidator(config).folds(300, 5) == (
        Fold(1, Window(50, 170), Window(175, 195), Window(200, 250)),
        Fold(2, Window(100, 220), Window(225, 245), Window(250, 300)),
    )


@given(walks())
def test_a_walk_that_lacks_a_session_is_refused_and_not_shrunk(walk):
    first = WalkForwardValidator(walk.config).first_test(walk.n_sessions)
    fixed = walk.config.model_copy(update={"first_test_session": first})
    with pytest.raises(ConfigError, match="Lower folds, test_sessions or first_test_session"):
        WalkForwardValidator(fixed).folds(walk.n_sessions - 1, walk.horizon)
