"""What the boosted models share: how many rounds to keep when a purged window is to say so."""

from collections.abc import Callable

import numpy as np

from foundry_tasks.models.design import Scores
from foundry_tasks.models.estimator import Stopping
from foundry_tasks.models.session_auc import mean_session_auc

_STEP_ROUNDS = 10


def best_rounds(rounds: int, stopping: Stopping, scores_of: Callable[[int, int], Scores]) -> int:
    """The number of rounds, in steps of ten, with the highest mean per-session AUC on the stopping window.

    scores_of(first, end): what rounds [first, end) add to the scores of the window's rows. All rounds where the window
    decides nothing.

    rounds: the most there may be. Equal AUCs keep the smaller number.
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
