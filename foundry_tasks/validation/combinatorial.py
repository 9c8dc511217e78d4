"""Combinatorial purged cross-validation on sessions. López de Prado (2018), chapter 12.

Sessions are cut into N groups; every choice of k of them is tested by a model fitted on the rest. Each group is tested
C(N − 1, k − 1) times, which assembles into as many backtest paths over all sessions: a distribution where a walk
gives one number. Models see later sessions than those they are tested on, so paths judge a recipe and never a promotion.

A label at t spans t … t + label_span. Fit sessions within label_span + embargo of a test group are purged on both
sides: before it, where their labels reach into the test; behind it, where the test's labels reach into them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.documents import Window
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import FloatArray


@dataclass(frozen=True, slots=True)
class CombinatorialSplit:
    """One model: the windows it is fitted on, in the order of time, and the groups that it is tested on."""

    fit: tuple[Window, ...]
    tests: tuple[Window, ...]


@dataclass(frozen=True)
class CombinatorialPurgedValidator:
    """All splits of `n_sessions` sessions into `groups` groups, `test_groups` of them tested at a time.

    label_span: sessions that a label looks ahead (`features.labels.label_span`). embargo_sessions: dropped
    besides, on both sides, as the walk-forward does.
    """

    n_sessions: int
    groups: int
    test_groups: int
    label_span: int
    embargo_sessions: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.test_groups < self.groups:
            raise ConfigError(
                f"test_groups must be in [2, groups − 1], got {self.test_groups} of {self.groups} groups. One group at a time "
                "has one path: walk forward instead."
            )
        purge, shortest = self.label_span + self.embargo_sessions, self.n_sessions // self.groups
        if purge >= shortest - 1:
            raise ConfigError(
                f"{self.groups} groups of {self.n_sessions} sessions have {shortest} each, and a purge of {purge} leaves nothing "
                "to fit between two tests. Bring more sessions or ask for fewer groups."
            )

    def splits(self) -> tuple[CombinatorialSplit, ...]:
        """One a choice of test groups: C(groups, test_groups) of them."""
        sessions = np.empty((self.n_sessions, 1))
        return tuple(
            CombinatorialSplit(_runs(fit), tuple(Window(int(test[0]), int(test[-1]) + 1) for test in tests))
            for fit, tests in self._splitter().split(sessions)
        )

    def paths(self) -> npt.NDArray[np.int64]:
        """Which split tests group g on path p: (n_paths, groups), n_paths = C(groups − 1, test_groups − 1)."""
        paths: npt.NDArray[np.int64] = np.asarray(self._splitter().recombined_paths.T)
        return paths

    def assemble(self, scores: Sequence[FloatArray]) -> FloatArray:
        """Scores along every path. scores: one (n_sessions, …) a split, read in its test groups alone.

        Returns (n_paths, n_sessions, …), every session of every path by a model that was not fitted on it.
        """
        paths = self.paths()
        groups = sorted({test for split in self.splits() for test in split.tests}, key=lambda window: window.start)
        along = np.full((len(paths), *scores[0].shape), np.nan)
        for path, splits in zip(along, paths, strict=True):
            for group, split in zip(groups, splits, strict=True):
                path[group.slice] = scores[split][group.slice]
        return along

    def _splitter(self) -> Any:
        from skfolio.model_selection import CombinatorialPurgedCV  # noqa: PLC0415 - seconds that others are spared

        # skfolio embargoes behind a test only; as a part of the purge the embargo holds on both sides.
        purge = self.label_span + self.embargo_sessions
        return CombinatorialPurgedCV(n_folds=self.groups, n_test_folds=self.test_groups, purged_size=purge)


def _runs(sessions: npt.NDArray[np.int64]) -> tuple[Window, ...]:
    """Ascending indices as windows of consecutive ones."""
    if not len(sessions):
        return ()
    runs = np.split(sessions, np.flatnonzero(np.diff(sessions) > 1) + 1)
    return tuple(Window(int(run[0]), int(run[-1]) + 1) for run in runs)
