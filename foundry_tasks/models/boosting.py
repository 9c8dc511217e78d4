"""Early stopping of the boosted models: choose the number of rounds on a purged window."""

from collections.abc import Callable

import numpy as np

from foundry_tasks.models.design import Scores
from foundry_tasks.models.estimator import Stopping
from foundry_tasks.models.session_auc import mean_session_auc

_STEP_ROUNDS = 10


def best_rounds(rounds: int, stopping: Stopping, scores_of: Callable[[int, int], Scores]) -> int:
    """The number of rounds, in steps of ten, with the highest mean per-session AUC on the stopping window.

    rounds: the maximum. scores_of(first, end): (n_rows,), the sum of the scores of rounds [first, end) for the rows of
    the window. If AUCs are equal, the smaller number is returned; if the AUC is NaN for every number, `rounds` is.
    """
    total = np.zeros(len(stopping.inputs))
    best, best_auc = rounds, -np.inf
    for first in range(0, rounds, _STEP_ROUNDS):
        end = min(first + _STEP_ROUNDS, rounds)
        total = total + scores_of(first, end)
        auc = mean_session_auc(total, stopping.target, stopping.session)
        if auc > best_auc:
            best, best_auc = end, auc
    return best
