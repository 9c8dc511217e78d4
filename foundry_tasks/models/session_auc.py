"""The area under the ROC curve within each session, for rows: what stops, tunes and explains a base model."""

import numpy as np
import numpy.typing as npt

from foundry_tasks.models.design import Scores


def mean_session_auc(scores: Scores, target: npt.NDArray[np.floating], session: npt.NDArray[np.integer]) -> float:
    """Mean over sessions of the AUC of `scores` against 0/1 `target`; ties count one half.

    All (n_rows,). Rows without a target are left out, and so are sessions that hold one class; NaN where none is left.
    """
    known = np.isfinite(target) & np.isfinite(scores)
    scores, target, session = scores[known], target[known], session[known]
    if not len(scores):
        return float("nan")
    _, group = np.unique(session, return_inverse=True)
    ranks = _ranks_within(scores, group)
    n_rows = np.bincount(group)
    n_above = np.bincount(group, weights=target)
    rank_sum = np.bincount(group, weights=ranks * target)
    pairs = n_above * (n_rows - n_above)
    both = pairs > 0
    if not both.any():
        return float("nan")
    return float(np.mean((rank_sum - n_above * (n_above + 1) / 2)[both] / pairs[both]))


def _ranks_within(scores: Scores, session: npt.NDArray[np.intp]) -> Scores:
    """Ranks from 1 within each session, ties sharing their mean."""
    order = np.lexsort((scores, session))
    ordered, group = scores[order], session[order]
    first_of_tie = np.r_[True, (ordered[1:] != ordered[:-1]) | (group[1:] != group[:-1])]
    tie = np.cumsum(first_of_tie) - 1
    place = np.arange(len(scores), dtype=np.float64)
    start_of_session = np.searchsorted(group, np.arange(group[-1] + 1))
    mean_place = np.bincount(tie, weights=place) / np.bincount(tie)
    ranks = np.empty(len(scores))
    ranks[order] = mean_place[tie] - start_of_session[group] + 1
    return ranks
