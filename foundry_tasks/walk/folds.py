"""Purged walk-forward folds, split by session, never by row.

A fold of horizon h: fit | purge | validation | purge | test. A label at session t ends at t + h, so a purge of h sessions
keeps the labels of a window out of the next window. For a model that reads sequences, the purge is longer by the length of
the sequence minus one, so windows share no input. Warm-up blocks come first. They have a test but no validation window;
the meta-learner and the calibrator of the reported folds are fitted on their out-of-fold scores too. López de Prado (2018),
chapter 7; Pardo (2008), chapter 11.
"""

from foundry_tasks.contract.config import WalkConfig
from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.contract.errors import ConfigError


class WalkForwardValidator:
    """Anchored or rolling folds over `n_sessions` sessions."""

    def __init__(self, config: WalkConfig) -> None:
        self.config = config

    def first_test(self, n_sessions: int) -> int:
        """Index of the first test session of the first reported fold."""
        if self.config.first_test_session is not None:
            return self.config.first_test_session
        return n_sessions - self.config.folds * self.config.test_sessions

    def folds(self, n_sessions: int, horizon: int) -> tuple[Fold, ...]:
        """Warm-up blocks and reported folds for one horizon, in the order of time.

        horizon: sessions that a label looks ahead. Test windows are the same for every horizon; the fit windows of a longer
        horizon end earlier. Raises ConfigError if there are too few sessions.

        >>> first, last = WalkForwardValidator(WalkConfig(folds=2, warmup_blocks=0)).folds(1000, horizon=5)
        >>> first.fit, first.validation, first.test
        (Window(start=0, stop=627), Window(start=632, stop=695), Window(start=700, stop=850))
        """
        c = self.config
        purge = horizon + c.gap_sessions
        first = self.first_test(n_sessions)
        needed = max(first, 0) + c.folds * c.test_sessions
        if needed > n_sessions:
            raise ConfigError(
                f"{c.folds} folds of {c.test_sessions} sessions from session {max(first, 0)} need {needed} sessions, the "
                f"prices have {n_sessions}. Lower folds, test_sessions or first_test_session."
            )
        folds = []
        rolling_fit = c.fit_sessions or first - c.validation_sessions - 2 * purge
        for number in range(1 - c.warmup_blocks, c.folds + 1):
            test = Window(first + (number - 1) * c.test_sessions, first + number * c.test_sessions)
            validation = Window(test.start - purge - c.validation_sessions, test.start - purge) if number >= 1 else None
            fit_stop = (validation or test).start - purge
            fit = Window(max(0, fit_stop - rolling_fit) if c.walk == "rolling" else 0, fit_stop)
            if len(fit) < c.min_fit_sessions:
                raise ConfigError(
                    f"{'fold' if number >= 1 else 'warm-up block'} at session {test.start} has {len(fit)} sessions to "
                    f"fit on, min_fit_sessions is {c.min_fit_sessions}, and the prices have {n_sessions}. Bring more sessions, "
                    "or lower folds, test_sessions, validation_sessions, warmup_blocks or min_fit_sessions."
                )
            folds.append(Fold(number, fit, validation, test))
        return tuple(folds)
